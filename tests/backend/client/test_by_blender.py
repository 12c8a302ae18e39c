"""Exports that Blender writes in a process of its own, and what is said where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.client import blender
from backend.client.export import ExportRequest, export_to_file
from backend.client.through_blender import write_by_blender
from backend.errors import UserError
from backend.export.blender import take_result
from backend.track.io import save_track
from tests.backend.client.test_blender import program
from tests.backend.client.test_blender import without_bpy as without_bpy
from tests.backend.export.made_takes import made_take
from tests.blender.runners import performance


@pytest.mark.slow
def test_blender_writes_the_file_in_place_of_an_earlier_one(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="needs Blender as a module")
    take = made_take("flame")
    (tmp_path / "take.abc").write_text("earlier")
    write_by_blender(take_result(take.track, take.head, "made", {}), "alembic", tmp_path / "take.abc")
    assert (tmp_path / "take.abc").read_bytes().startswith(b"Ogawa")
    assert [path.name for path in tmp_path.iterdir()] == ["take.abc"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    save_track(performance("/clip.mp4"), tmp_path / "results" / "track.npz")
    return tmp_path / "results"


@pytest.mark.usefixtures("without_bpy")
def test_without_blender_it_is_said(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.PROGRAM, str(tmp_path / "no-blender"))
    with pytest.raises(UserError, match=r"take\.abc cannot be written: neither Blender 4\.2 or later") as caught:
        export_to_file(ExportRequest([str(results)], "alembic", tmp_path / "take.abc"))
    assert caught.value.code == "no_blender" and not (tmp_path / "take.abc").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell's")
@pytest.mark.usefixtures("without_bpy")
def test_what_blender_says_is_told(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.PROGRAM, str(program(tmp_path / "bin" / "blender", "Blender 4.5.0")))
    with pytest.raises(UserError, match=r"Blender could not write .*\.abc: Blender 4\.5\.0") as caught:
        export_to_file(ExportRequest([str(results)], "alembic", tmp_path / "take.abc"))
    assert caught.value.code == "scene"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "results"], "nothing that is half there"


@pytest.mark.parametrize(("out", "why"), [("missing/take.abc", "No such file"), (".", "Is a directory"), ("/", "Is a")])
def test_where_no_file_can_be_written_is_a_sentence(results: Path, tmp_path: Path, out: str, why: str) -> None:
    pytest.importorskip("bpy", reason="needs Blender as a module")
    with pytest.raises(UserError, match=f"cannot be written: {why}"):
        export_to_file(ExportRequest([str(results)], "alembic", tmp_path / out))
