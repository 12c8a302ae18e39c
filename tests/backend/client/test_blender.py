"""The Blender that writes a scene, where this Python has none as a module."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from backend.client import blender
from backend.client.request import TrackRequest
from backend.client.scene_writer import require_blender
from backend.errors import UserError


def test_installers_places_on_every_system() -> None:
    windows = blender.usual_places("win32", {"ProgramFiles": "C:\\Program Files", "ProgramW6432": "C:\\Program Files"})
    assert windows == [("C:\\Program Files\\Blender Foundation", "Blender */blender.exe")]
    macos = blender.usual_places("darwin", {"HOME": "/Users/a"})
    assert ("/Applications", "Blender*.app/Contents/MacOS/Blender") in macos
    linux = blender.usual_places("linux", {})
    assert ("/snap/bin", "blender") in linux and ("/opt", "blender-*/blender") in linux
    assert not any(folder.startswith("/.local") for folder, _ in linux), "no home is not the root"


@pytest.fixture
def without_bpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose packages lack Blender."""
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not (Path(folder) / "bpy").is_dir()])
    monkeypatch.delitem(sys.modules, "bpy", raising=False)
    importlib.invalidate_caches()


def program(path: Path, says: str) -> Path:
    """A program that answers every question alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the places are Linux's")
@pytest.mark.usefixtures("without_bpy")
def test_the_newest_blender_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(blender.PROGRAM, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("HOME", str(tmp_path))
    program(tmp_path / "path" / "blender", "Blender 3.4.1")
    program(tmp_path / "blender-4.2.1-linux-x64" / "blender", "Blender 4.2.1 LTS")
    newest = program(tmp_path / "blender-5.10.0-linux-x64" / "blender", "Blender 5.10.0")
    program(tmp_path / "blender-5.2.0-linux-x64" / "blender", "Blender 5.2.0 LTS")
    assert blender.find_blender() == blender.Blender(newest)


@pytest.mark.usefixtures("without_bpy")
def test_without_any_blender_it_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.PROGRAM, str(tmp_path / "no-blender"))
    request = TrackRequest((tmp_path / "clip.mp4",), tmp_path)
    with pytest.raises(UserError, match=r"neither Blender 4\.2 or later") as caught:
        require_blender(request)
    assert caught.value.code == "no_blender" and "--no-blend" in caught.value.hint
    assert require_blender(TrackRequest((tmp_path / "clip.mp4",), tmp_path, blend=False)) is None
