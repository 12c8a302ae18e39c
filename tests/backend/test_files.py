"""Files take the place of others whole, also where readers hold those."""

from __future__ import annotations

from pathlib import Path

from backend import files


def test_a_file_that_windows_readers_hold_is_tried_again_and_others_are_not() -> None:
    assert files.waits_for_readers("linux") == files.waits_for_readers("darwin") == ()
    assert 0.5 < sum(files.waits_for_readers("win32")) < 5


def test_a_finished_file_takes_the_place_of_another(tmp_path: Path) -> None:
    whole, place = tmp_path / "whole", tmp_path / "place"
    whole.write_text("new")
    place.write_text("old")
    files.put_in_place(whole, place)
    assert place.read_text() == "new" and not whole.exists()
