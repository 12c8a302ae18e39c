"""The add-on as an extension: its manifest, its imports under any name, and the package itself."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import backend
from blender_addon import build_extension
from blender_addon.client import DEFAULT_ENDPOINT

IN_BLENDER = """
import sys, bpy
from somewhere.anything import flowface
flowface.register()
from somewhere.anything.flowface import vendor, preferences
assert vendor.messages.__name__ == "somewhere.anything.flowface.protocol.messages", vendor.messages.__name__
assert preferences.FlowFacePreferences.bl_idname == "somewhere.anything.flowface"
assert bpy.context.scene.flowface.match_scene
ours = [name for name in sys.modules if name.split(".")[0] in ("protocol", "blender_addon", "backend")]
assert not ours, ours
flowface.unregister()
print("fine")
"""


def test_an_extension_has_the_projects_version(tmp_path: Path, repo_root: Path) -> None:
    shutil.copy(repo_root / "blender_addon" / "blender_manifest.toml", tmp_path)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "some-1.0-py3-none-any.whl").touch()
    build_extension.complete_manifest(tmp_path, ["linux-x64"])
    manifest = tomllib.loads((tmp_path / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == backend.__version__ == importlib.metadata.version("flowface")
    assert manifest["wheels"] == ["./wheels/some-1.0-py3-none-any.whl"]
    assert manifest["platforms"] == ["linux-x64"]
    assert set(manifest["permissions"]) == {"network", "files"}


def test_the_changelog_speaks_of_the_version(repo_root: Path) -> None:
    changelog = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(backend.__version__)}\b", changelog, flags=re.MULTILINE)


def test_default_address_is_the_backends() -> None:
    from backend.server.endpoint import DEFAULT_ENDPOINT as BACKENDS

    assert DEFAULT_ENDPOINT == BACKENDS


def test_works_under_any_package_name_with_its_own_protocol(tmp_path: Path, repo_root: Path) -> None:
    home = tmp_path / "somewhere" / "anything"
    uncompiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repo_root / "blender_addon", home / "flowface", ignore=uncompiled)
    shutil.copytree(repo_root / "protocol", home / "flowface" / "protocol", ignore=uncompiled)
    (tmp_path / "run.py").write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IN_BLENDER}")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("fine"), done.stderr


@pytest.mark.build
def test_built_extension_is_valid_and_complete(tmp_path: Path) -> None:
    """Downloads wheels; Blender's own tool validates the zip (it fails otherwise)."""
    package = build_extension.build(tmp_path, ["linux-x64"])
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["platforms"] == ["linux-x64"]
    assert {wheel.removeprefix("./") for wheel in manifest["wheels"]} <= set(names)
    wheels = [Path(name).name.split("-") for name in names if name.endswith(".whl")]
    tags = sorted("-".join((package, python, abi)) for package, _, python, abi, _ in wheels)
    assert tags == ["msgpack-cp311-cp311", "msgpack-cp313-cp313", "pyzmq-cp311-cp311", "pyzmq-cp312-abi3"]
    assert "protocol/messages.py" in names and "LICENSE" in names
    assert not any("__pycache__" in name or name.startswith("build_extension") for name in names)


def test_build_without_pip_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(sys, "_base_executable", "/bin/false")
    monkeypatch.setenv("PATH", "")
    assert build_extension.main(["--out", str(tmp_path)]) == 2
    assert "no pip was found" in capsys.readouterr().err
