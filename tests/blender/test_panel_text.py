"""Text in panels, which Blender neither wraps nor shortens well."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.backend_process import short_lines
from blender_addon.panels.text import wrapped


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("", 20, [""]),
        ("Cancelled.", 20, ["Cancelled."]),
        ("Tracked 72 of 72 frames, mean error", 12, ["Tracked 72", "of 72", "frames, mean", "error"]),
        ("Exported to /home/ada/shots/take/clip.csv.", 18, ["Exported to /home/", "ada/shots/take/", "clip.csv."]),
        (r"C:\Users\ada\clip.csv", 10, ["C:\\Users\\", "ada\\", "clip.csv"]),
        ("a abcdefghij", 4, ["a ab", "cdef", "ghij"]),
    ],
)
def test_lines_break_at_spaces_then_after_folders_then_anywhere(text: str, room: int, lines: list[str]) -> None:
    assert wrapped(text, room, len) == lines


@given(st.text("ab/W ", max_size=60), st.floats(3.0, 40.0))
def test_no_line_is_cut_and_no_letter_lost_however_wide_the_letters(text: str, room: float) -> None:
    def measure(line: str) -> float:
        return sum(2.7 if letter == "W" else 0.8 for letter in line)

    lines = wrapped(text, room, measure)
    assert max(measure(line) for line in lines) <= room
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


def test_log_is_shown_without_dates_and_without_what_programs_read() -> None:
    log = [
        '{"pid": 8}',
        "",
        "2026-11-26 02:36:44,190 INFO stopped",
        "2026-11-26 02:36:48,987 WARNING was ended",
        "Bang",
    ]
    assert short_lines(log) == ["stopped", "WARNING was ended", "Bang"]
