"""The pins that set-up installs agree with pyproject.toml, and set-up says in words what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend import bootstrap

FILES = ("requirements.txt", "requirements-build.txt", "requirements-uv.txt")


def entries(path: Path) -> list[str]:
    """One requirement with its hashes per entry, comments dropped."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


@pytest.mark.parametrize("name", FILES)
def test_every_pin_is_exact_and_hashed_and_names_no_registry(repo_root: Path, name: str) -> None:
    pins = entries(repo_root / name)
    assert pins
    for pin in pins:
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s;]+", pin), pin
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", (repo_root / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_pins_are_read_without_loss(repo_root: Path, name: str) -> None:
    text = (repo_root / name).read_text()
    pins = bootstrap.read_pins(repo_root / name)
    assert text.endswith("".join(pins.values()))
    assert len(pins) == len(entries(repo_root / name)) == len(re.findall(r"^[^#\s]+==", text, flags=re.MULTILINE))


def test_pin_refuses_what_it_does_not_know() -> None:
    with pytest.raises(bootstrap.SetupError, match="--upgrade"):
        bootstrap.command_pin(["--newest"])


def test_pins_hold_everything_pyproject_asks_for(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["demo"],
        *project["dependency-groups"]["dev"],
        *project["dependency-groups"]["blender"],
        *project["build-system"]["requires"],
    ]
    pinned = {
        canonicalize_name(pin.split("==")[0]): pin.split("==")[1].split()[0]
        for pin in entries(repo_root / "requirements.txt")
    }
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned; run `python3 backend/bootstrap.py pin`"
        assert requirement.specifier.contains(version), f"{requirement} but {version} is pinned"
    assert not set(project["tool"]["uv"]["exclude-dependencies"]) & set(pinned)


def test_a_missing_library_is_named_by_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bootstrap.SYSTEM_LIBRARIES, "libflowface-not-there.so.9", "libflowface9")
    assert "libflowface9" in bootstrap.missing_system_packages()


def test_a_half_made_environment_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = tmp_path / "stamp"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    assert not bootstrap.environment_ready()
    stamp.write_text(bootstrap.wanted_stamp())
    assert bootstrap.environment_ready()
    stamp.write_text(bootstrap.wanted_stamp().replace(str(bootstrap.ROOT), "/somewhere/else"))
    assert not bootstrap.environment_ready()


def test_an_unknown_command_prints_the_usage(repo_root: Path) -> None:
    script = str(repo_root / "backend" / "bootstrap.py")
    result = subprocess.run([sys.executable, script, "dance"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")
