"""Files of 68 points: what is written is read, pixels count as in FlowFace, and what is broken is refused by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import UserError
from backend.evaluation.challenges.landmarks.pts import pts_text, read_pts
from tests.backend.evaluation.challenges.landmarks.flat import face_points

PLAIN = pts_text(face_points())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pts") / "face 092 _01.pts"


@settings(max_examples=30)
@given(values=st.lists(st.floats(-9e5, 9e5), min_size=136, max_size=136), crlf=st.booleans())
def test_what_is_written_is_read(file: Path, values: list[float], crlf: bool) -> None:
    points = np.array(values).reshape(68, 2)
    points[36], points[45] = (10, 20), (110, 20)
    file.write_bytes(pts_text(points).replace("\n", "\r\n" if crlf else "\n").encode())
    np.testing.assert_allclose(read_pts(file), points, rtol=0, atol=1e-9)


def test_the_first_pixel_is_one_there_and_a_half_here(file: Path) -> None:
    lines = ["version: 1", "n_points:  68", "{", "1 1", *("2.5 480.0" for _ in range(67)), "}"]
    lines[3 + 36] = "100 200"
    file.write_text("\n".join(lines) + "\n")
    read = read_pts(file)
    assert read[0].tolist() == [0.5, 0.5]
    assert read[1].tolist() == [2.0, 479.5]


def replaced(line: int, text: str) -> str:
    lines = PLAIN.splitlines()
    lines[line - 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no “{”"),
        (replaced(1, "version: 2"), 1, "version is “2”"),
        (replaced(1, "<html>"), 1, "no “name: value”"),
        (replaced(2, "n_points: 66"), 2, "n_points is 66, not 68"),
        (replaced(2, ""), 3, "n_points is missing"),
        (replaced(7, "12.5"), 7, "“12.5” is not a point"),
        (replaced(7, "12.5 x"), 7, "not a point"),
        (replaced(7, "12.5 nan"), 7, "no place in a picture"),
        (replaced(7, "1e300 3"), 7, "no place in a picture"),
        (replaced(7, ""), 72, "after 67 points, not 68"),
        (replaced(72, ""), 71, "no “}”"),
        (PLAIN + "4 5\n", 73, "“4 5” stands behind"),
        (replaced(49, PLAIN.splitlines()[39]), 49, "at one place"),
    ],
)
def test_what_is_broken_is_refused_by_name_and_line(file: Path, text: str, line: int, words: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_pts(file)
    assert caught.value.code == "bad_file"
    assert f"{file}, line {line}: " in caught.value.message
    assert words in caught.value.message
