"""The backend is found where a user of each system has installed it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from blender_addon import backend_places as places
from blender_addon.versions import mismatch


def test_usual_programs_of_every_system() -> None:
    linux = places.usual_programs("linux", {"HOME": "/home/a"})
    assert linux[0] == "/home/a/.local/bin/flowface" and "/usr/local/bin/flowface" in linux
    macos = places.usual_programs("darwin", {"HOME": "/Users/a"})
    assert {"/Users/a/.local/bin/flowface", "/Users/a/Library/Python/3.13/bin/flowface"} < set(macos)
    windows = places.usual_programs(
        "win32", {"USERPROFILE": "C:\\Users\\a", "APPDATA": "C:\\Users\\a\\AppData\\Roaming"}
    )
    assert windows[0] == "C:\\Users\\a\\.local\\bin\\flowface.exe"
    assert "C:\\Users\\a\\AppData\\Roaming\\Python\\Python313\\Scripts\\flowface.exe" in windows


def test_what_uv_and_pipx_were_told_comes_first() -> None:
    told = {"HOME": "/home/a", "UV_TOOL_BIN_DIR": "/tools", "PIPX_BIN_DIR": "/pipx", "XDG_DATA_HOME": "/data/share"}
    assert places.usual_programs("linux", told)[:3] == ["/tools/flowface", "/pipx/flowface", "/data/bin/flowface"]
    assert places.usual_programs("linux", {}) == ["/usr/local/bin/flowface"]


@pytest.fixture
def installed_addon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The add-on far from any checkout, in a Python without the backend and with a bare search path; its home."""
    home = tmp_path / "home"
    monkeypatch.setattr(places, "__file__", str(tmp_path / "extensions" / "flowface" / "backend_places.py"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.delitem(sys.modules, "backend", raising=False)
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if "Path" not in str(finder)])
    for name in ("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR", "XDG_BIN_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bare"))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    return home


def test_an_installed_tool_is_found_with_a_bare_path_and_named(installed_addon: Path) -> None:
    name = "flowface.exe" if sys.platform == "win32" else "flowface"
    program = installed_addon / ".local" / "bin" / name
    with pytest.raises(places.CannotStart, match="uv tool install"):
        places.find_launch("")
    assert "not found" in places.describe("")
    program.parent.mkdir(parents=True)
    program.touch()
    assert places.find_launch("").command == (str(program), "serve")
    assert places.describe("") == f"Found: {program}"


@pytest.mark.parametrize("python", ["bin/python", "Scripts/python.exe"])
def test_a_chosen_checkout_is_started_in_its_own_python(tmp_path: Path, python: str) -> None:
    (tmp_path / "backend" / "server").mkdir(parents=True)
    program = tmp_path / ".venv" / python
    program.parent.mkdir(parents=True)
    program.touch()
    launch = places.find_launch(str(tmp_path))
    assert launch.command == (str(program), "-m", "backend.server")
    assert launch.folder == tmp_path and launch.place == str(tmp_path)


@pytest.mark.parametrize("named", ["flowface", "."])
def test_the_program_itself_or_its_folder_may_be_chosen(tmp_path: Path, named: str) -> None:
    (tmp_path / "flowface").touch()
    assert places.find_launch(str(tmp_path / named)).command == (str(tmp_path / "flowface"), "serve")


def test_versions_that_differ_are_told_apart() -> None:
    assert mismatch("0.2.0", "0.1.0") == "The add-on is 0.2.0, the backend 0.1.0: install the same version of both."
    assert mismatch("0.1.0", "0.1.0") == mismatch("", "0.1.0") == ""
