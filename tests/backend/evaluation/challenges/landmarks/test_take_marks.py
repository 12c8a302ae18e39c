"""Marks that somebody set: read from a table or JSON, bound in one frame, looked for in the others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.errors import UserError
from backend.evaluation.challenges.landmarks.mark_errors import reprojection_errors, take_figures
from backend.evaluation.challenges.landmarks.tables import mark_sheet
from backend.evaluation.challenges.landmarks.take_marks import TakeMarks, read_take
from backend.evaluation.types import MeshSequence
from backend.footage.encode import encode_evenly
from tests.backend.evaluation.challenges.landmarks.flat import FOCAL, SIDE, face_points, flat_mesh

ROWS = [("mole", 1, 30.5, 20.0), ("scar, left", 2, 10.0, 11.0), ("mole", 3, 31.0, 21.0), ("scar, left", 3, 12.0, 13.0)]


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """A take of three frames of 64 x 48 pixels, without marks."""
    folder = tmp_path / "monday"
    folder.mkdir()
    encode_evenly(folder / "front.mp4", [np.full((48, 64, 3), 40 * n, np.uint8) for n in range(3)], 25.0)
    return folder


def table(rows: list[tuple[str, int, float, float]], header: str = "mark,frame,x,y") -> str:
    return "\n".join([header, *(f'"{mark}",{frame},{x},{y}' for mark, frame, x, y in rows)]) + "\n"


def test_a_table_and_json_say_the_same(take: Path) -> None:
    (take / "marks.csv").write_text("\ufeff# mine\n" + table(ROWS, "Mark, Frame, X, Y"))
    by_table = read_take(take)
    assert by_table.clip == take / "front.mp4"
    (take / "marks.csv").unlink()
    rows = [dict(zip(("mark", "frame", "x", "y"), row, strict=True)) for row in ROWS]
    for told in (rows, {"marks": rows}):
        (take / "marks.json").write_text(json.dumps(told))
        found = read_take(take).marks
        assert found.names == by_table.marks.names == ("mole", "scar, left")
        assert found.frames.tolist() == by_table.marks.frames.tolist() == [1, 2, 3]
        np.testing.assert_array_equal(found.seen, by_table.marks.seen)
    assert found.seen[1].tolist()[1:] == [[10.0, 11.0], [12.0, 13.0]]
    assert np.isnan(found.seen[1, 0]).all()


def test_every_wrong_line_is_named(take: Path) -> None:
    wrong = [("a", 4, 1, 1), ("a", 1, 65, 1), ("b", 2, 1, 1), ("b", 2, 2, 2), ("", 1, 1, 1), ("c", 1.5, 1, 1)]
    (take / "marks.csv").write_text(table(wrong) + "d,1,left,1\n")
    with pytest.raises(UserError) as caught:
        read_take(take)
    assert caught.value.code == "bad_file"
    for words in (
        "Line 2: the footage has no frame 4, only 1 to 3.",
        "Line 3: (65, 1) is outside the picture of 64 x 48 pixels.",
        "Line 5: “b” is set twice in frame 2.",
        "Line 6: it names no mark.",
        "Line 7: frame is “1.5”, not a whole number.",
        "Line 8: x is “left”, not a number.",
    ):
        assert words in caught.value.message
    (take / "marks.csv").write_text(table(ROWS[:3]))
    with pytest.raises(UserError, match="“scar, left” is set in one frame only"):
        read_take(take)
    (take / "marks.csv").write_text(table(ROWS, "name,frame,x,y"))
    with pytest.raises(UserError, match="line 1: there is no column mark"):
        read_take(take)


def test_a_take_is_one_clip_and_one_file_of_marks(take: Path) -> None:
    with pytest.raises(UserError, match=r"marks\.csv or marks\.json"):
        read_take(take)
    (take / "marks.csv").write_text(table(ROWS))
    with pytest.raises(UserError, match="sets no mark in frame 7"):
        read_take(take, bound_in=7)
    (take / "side.mp4").write_bytes((take / "front.mp4").read_bytes())
    with pytest.raises(UserError, match=r"2 videos, where a take has one: front\.mp4, side\.mp4"):
        read_take(take)
    (take / "side.mp4").unlink()
    (take / "marks.json").write_text("[]")
    with pytest.raises(UserError, match="2 files of marks"):
        read_take(take)


def test_numbered_pictures_keep_their_numbers(tmp_path: Path) -> None:
    for number in (7, 8):
        cv2.imwrite(str(tmp_path / f"shot_{number:04d}.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "marks.csv").write_text(table([("mole", 7, 3, 4), ("mole", 8, 4, 4)]))
    take = read_take(tmp_path)
    assert take.marks.frames.tolist() == [7, 8]
    assert [file.name for file in take.files] == ["marks.csv", "shot_0007.png", "shot_0008.png"]


@pytest.fixture(scope="module")
def sliding() -> MeshSequence:
    """A square of 200 pixels before the camera that goes 2 px to the right in each of four frames."""
    corners = np.array([[100.0, 100.0], [300.0, 100.0], [300.0, 300.0], [100.0, 300.0]])
    image = corners + np.array([2.0, 0.0]) * np.arange(4)[:, None, None]
    flat = (image - SIDE / 2) / FOCAL
    return replace(
        flat_mesh(np.repeat(face_points()[None], 4, axis=0)),
        vertices=np.concatenate([flat, np.ones((4, 4, 1))], axis=2).astype(np.float32),
        triangles=np.array([[0, 3, 2], [0, 2, 1]], np.int32),
        # the outer eye corners at two corners of it: 200 px apart
        landmarks68=(np.zeros(68, np.int32), np.eye(3, dtype=np.float32)[np.where(np.arange(68) == 36, 0, 1)]),
    )


def test_errors_are_those_of_the_annotation(sliding: MeshSequence) -> None:
    at = np.array([[150.0, 150.0], [250.0, 200.0], [20.0, 20.0]])
    seen = at[:, None] + np.array([[0.0, 0.0], [2.0, 0.0], [6.0, 0.0]])  # frames 11, 12 and 14 of 11 … 14
    seen[0, 1] += [3.0, 4.0]
    seen[1, 0] = np.nan
    seen[1, 2] += [0.0, 10.0]
    marks = TakeMarks(("mole", "scar", "beside the face"), np.array([11, 12, 14]), seen)
    numbers = np.arange(11, 15)
    errors = reprojection_errors(sliding, numbers, marks)
    known = [[np.nan, 5.0, 0.0], [np.nan, np.nan, 10.0], [np.nan] * 3]
    np.testing.assert_allclose(errors, known, atol=1e-3)
    told = take_figures(sliding, errors, marks, np.ones(4, bool))
    assert (told["marks"], told["bound"], told["places"], told["lost"]) == (3, 2, 5, 0)
    assert told["unbound"] == ["beside the face"]
    assert told["inter_ocular_px"] == pytest.approx(200, abs=1e-3)
    assert told["error_px"] == pytest.approx(5.0, abs=1e-3)
    assert told["error_percent"] == pytest.approx(2.5, abs=1e-3)
    assert told["by_mark_percent"]["scar"] == pytest.approx(5.0, abs=1e-3)
    assert told["stability"] == pytest.approx(1.0, abs=1e-3)  # straight motion
    late = reprojection_errors(sliding, numbers, marks, bound_in=14)
    np.testing.assert_allclose(late, [[0.0, 5.0, np.nan], [np.nan, 10.0, np.nan], [np.nan] * 3], atol=1e-3)
    away = replace(sliding, tracked=np.array([True, True, True, False]))
    lost = reprojection_errors(away, numbers, marks)
    assert take_figures(away, lost, marks, np.ones(4, bool))["lost"] == 2 - 1  # the scar's only place is gone with it
    sheet = mark_sheet([told | {"take": "monday"}])
    assert sheet.rows[-1] == ("monday", "2 of 3", "5", "5.00", "2.50", "2.50", "4.50", "1.0000")
    assert tuple(sheet.rows[5][n] for n in (0, 3, 7)) == ("I2ZNet, adapted (paper)", "7.26", "1.1412")
