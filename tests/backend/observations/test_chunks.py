"""Chunks of a growing alignment: what comes back is what was added, and nothing else is ever believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.head_model.model import SurfacePoints
from backend.observations import AlignedFrame, PointSetId, ViewAlignment
from backend.observations.chunks import AlignmentChunks, Chunk, remove_chunks
from backend.observations.io import arrays_of
from tests.backend.observations.test_io import FIRST, NETWORK, POINTS, frame


def chunks_in(
    folder: Path, key: str = "of this job", ids: tuple[PointSetId, ...] = (FIRST,), aligner: str = "mediapipe"
) -> AlignmentChunks:
    return AlignmentChunks(folder, ids, aligner, key=key, image_size=(640, 480), frame_rate=24.0)


def write(folder: Path, *parts: list[AlignedFrame]) -> list[Path]:
    chunks = chunks_in(folder)
    for number, part in enumerate(parts):
        chunks.write([part], {"number": np.array(number)})
    return sorted(folder.iterdir())


def numbers(chunks: list[Chunk]) -> list[int]:
    return [int(number) for chunk in chunks for number in chunk.faces[0].numbers]


def test_frames_come_back_to_the_bit(tmp_path: Path) -> None:
    """Also those of chunks without any face, which know nothing of how many points there are."""
    parts = [[frame(n, found=False) for n in range(3)], [frame(n, found=n % 5 != 0) for n in range(3, 12)]]
    write(tmp_path / "a", *parts)
    found = chunks_in(tmp_path / "a").take_up()
    assert [int(chunk.state["number"]) for chunk in found] == [0, 1]
    frames = [frame for chunk in found for frame in chunk.faces[0].frames()]
    how = {"aligner": "mediapipe", "image_size": (640, 480), "frame_rate": 24.0}
    whole, again = (ViewAlignment.stacked(one, [FIRST], **how) for one in ([*parts[0], *parts[1]], frames))  # type: ignore[arg-type]
    for (name, array), other in zip(arrays_of([whole]).items(), arrays_of([again]).values(), strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other, err_msg=name)
    before, after = ([f.alignment and f.alignment.box for f in one] for one in ([*parts[0], *parts[1]], frames))
    assert before == after


def test_free_points_stay_where_they_are_on_the_head(tmp_path: Path) -> None:
    points = SurfacePoints(np.arange(POINTS, dtype=np.int32), np.full((POINTS, 3), 1 / 3, np.float32))
    shown = frame(1)
    assert shown.alignment is not None
    sets = (replace(shown.alignment.point_sets[0], points=points),)
    write(tmp_path / "a", [replace(shown, alignment=replace(shown.alignment, point_sets=sets))])
    ((face,),) = (chunk.faces for chunk in chunks_in(tmp_path / "a").take_up())
    (again,) = face.frames()
    assert again.alignment is not None and again.alignment.point_sets[0].points is not None
    np.testing.assert_array_equal(again.alignment.point_sets[0].points.barycentric, points.barycentric)


def test_further_chunks_go_behind_those_that_were_there(tmp_path: Path) -> None:
    write(tmp_path / "a", [frame(1), frame(2)])
    chunks = chunks_in(tmp_path / "a")
    assert numbers(chunks.take_up()) == [1, 2]
    chunks.write([[frame(3)], [frame(3, found=False)]], {})
    (_, further) = found = chunks_in(tmp_path / "a").take_up()
    assert numbers(found) == [1, 2, 3]
    assert [face.found.tolist() for face in further.faces] == [[True], [False]]


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "missing"])
def test_what_lies_behind_damage_is_given_up(tmp_path: Path, damage: str) -> None:
    paths = write(tmp_path / "a", [frame(1), frame(2)], [frame(3)], [frame(4)])
    data = bytearray(paths[1].read_bytes())
    if damage == "one bit":
        data[len(data) // 3] ^= 4
    paths[1].write_bytes({"cut short": data[: len(data) // 2], "empty": b""}.get(damage, data))
    if damage == "missing":
        paths[1].unlink()
    assert numbers(chunks_in(tmp_path / "a").take_up()) == [1, 2]
    assert list((tmp_path / "a").iterdir()) == paths[:1]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"key": "of another job"}, id="key"),
        pytest.param({"ids": (NETWORK,)}, id="points"),
        pytest.param({"aligner": "flowface"}, id="aligner"),
    ],
)
def test_chunks_of_something_else_are_not_taken_up(tmp_path: Path, other: dict[str, object]) -> None:
    write(tmp_path / "a", [frame(1)])
    assert chunks_in(tmp_path / "a", **other).take_up() == []  # type: ignore[arg-type]
    assert list((tmp_path / "a").iterdir()) == []


def test_chunks_are_removed_once_they_are_in_one_file(tmp_path: Path) -> None:
    write(tmp_path / "alignments" / "0", [frame(1)])
    write(tmp_path / "alignments" / "1", [frame(1)], [frame(2)])
    remove_chunks(tmp_path / "alignments")
    assert list(tmp_path.iterdir()) == []
    remove_chunks(tmp_path / "alignments")
