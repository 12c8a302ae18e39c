"""Several faces followed at once: each keeps its owner, also where they cross, and no two are ever one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.align_footage import align_faces, align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.cuts import follow_shots
from backend.alignment.several_faces import FacesWanted, FollowedFaces, SeveralFaces
from backend.alignment.types import Aligner, FaceFinder
from backend.errors import UserError
from backend.footage import FootageFrame, open_footage
from backend.observations import AlignedFrame
from tests.backend.alignment.shots import coffee

Picture = NDArray[np.uint8]
Path2 = Callable[[float], tuple[float, float]]
REACH = 70  # pixels about a cut-out head's middle
ALL = FacesWanted(FaceChoice.largest(), every=True)


@pytest.fixture(scope="module")
def clip(shared_data: Path) -> Path:
    return shared_data / "clips" / "intel_headpose_two_people.mp4"


@pytest.fixture(scope="module")
def heads(clip: Path) -> list[tuple[Picture, Picture]]:
    """Both people's heads, cut out of each of the first frames of the clip."""
    frames = [np.pad(f.image, ((REACH, REACH), (REACH, REACH), (0, 0)), "edge") for f in open_footage(clip, (1, 6))]
    return [
        (f[110 : 110 + 2 * REACH, 102 : 102 + 2 * REACH], f[104 : 104 + 2 * REACH, 359 : 359 + 2 * REACH])
        for f in frames
    ]


def moving(heads: list[tuple[Picture, Picture]], count: int, front: Path2, back: Path2) -> Iterator[Picture]:
    """The first head before the second, each about the point where its path (of 0…1) is."""
    down, across = np.mgrid[-REACH:REACH, -REACH:REACH]
    opaque = np.clip((1 - np.hypot(across / 48, down / 64)) * 6, 0, 1)[..., None]
    for index in range(count):
        picture = np.full((300, 640, 3), 170, np.uint8)
        one, other = heads[index * len(heads) // count]
        for head, path in ((other, back), (one, front)):
            x, y = map(int, path(index / (count - 1)))
            there = picture[y - REACH : y + REACH, x - REACH : x + REACH]
            there[:] = opaque * head + (1 - opaque) * there
        yield picture


def followed(pictures: list[Picture], aligner: Aligner, finder: FaceFinder, wanted: FacesWanted = ALL) -> FollowedFaces:
    following = SeveralFaces(aligner, finder, wanted)
    frames = (FootageFrame(n, n / 25, float(n), picture) for n, picture in enumerate(pictures, start=1))
    for frame, follows in follow_shots(frames):
        following.take(frame, follows)
    return following.end()


def left_to_right(y: float) -> Path2:
    return lambda t: (120 + 400 * t, y)


def right_to_left(y: float) -> Path2:
    return lambda t: (520 - 400 * t, y)


def still(x: float, y: float) -> Path2:
    return lambda _: (x, y)


def test_each_of_two_people_is_followed_as_one_alone_is(clip: Path, aligner: Aligner, finder: FaceFinder) -> None:
    told: list[AlignedFrame] = []
    found = align_faces(open_footage(clip, (1, 6)), aligner, ALL, finder=finder, on_frame=told.append)
    assert [frame.alignment.box.left for frame in told if frame.alignment] == found.faces[0].boxes[:, 0].tolist()
    assert len(found.faces) == 2 and not found.left_out
    assert all(face.found.all() and face.most_faces == 2 for face in found.faces)
    for face in found.faces:
        x, y = face.boxes[0, 0] + face.boxes[0, 2] / 2, face.boxes[0, 1] + face.boxes[0, 3] / 2
        alone = align_footage(open_footage(clip, (1, 6)), aligner, FaceChoice.point(x, y), finder=finder)
        assert np.linalg.norm(face.mu - alone.mu, axis=-1).mean() < 0.5
        np.testing.assert_array_equal(face.lid_closure is None, alone.lid_closure is None)


@pytest.mark.parametrize(
    ("front", "back"),
    [
        (left_to_right(140), right_to_left(165)),
        (still(320, 150), right_to_left(155)),
    ],
    ids=["both move", "one passes behind"],
)
def test_faces_that_cross_keep_their_owners(
    heads: list[tuple[Picture, Picture]], aligner: Aligner, finder: FaceFinder, front: Path2, back: Path2
) -> None:
    count = 16
    found = followed(list(moving(heads, count, front, back)), aligner, finder)
    assert len(found.faces) == 2
    truth = np.array([(front(t), back(t)) for t in np.linspace(0, 1, count)])
    apart = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    for face in found.faces:
        centres = np.array([f.alignment.box.centre if f.alignment else (np.nan, np.nan) for f in face])
        off = np.linalg.norm(centres[:, None] - truth, axis=-1)
        owner = int(off[0].argmin())
        clear = apart > 100
        assert (off[clear, owner] < 40).mean() > 0.9 and not (off[clear, 1 - owner] < 40).any()
    together = [(a.alignment, b.alignment) for a, b in zip(*found.faces, strict=True) if a.alignment and b.alignment]
    apart_by = [np.linalg.norm(a.mu - b.mu, axis=1).mean() for a, b in together]
    assert min(apart_by) > 10, "never both on one face"


def test_a_face_that_is_hardly_seen_is_none_of_all_but_can_be_picked(
    clip: Path, aligner: Aligner, finder: FaceFinder
) -> None:
    pictures = [frame.image.copy() for frame in open_footage(clip, (1, 22))]
    for index, picture in enumerate(pictures):  # somebody comes out from behind a screen
        picture[30:160, 280 + 4 * index + 8 * max(index - 15, 0) : 420] = picture[20, 280]
    found = followed(pictures, aligner, finder)
    assert len(found.faces) == 1 and found.left_out == (2,)
    picked = FacesWanted(FaceChoice.point(80, 110), (FaceChoice.point(335, 100, frame=21),))
    first, other = followed(pictures, aligner, finder, picked).faces
    assert [f.number for f in other if f.alignment] == [21, 22] and all(f.alignment for f in first)
    with pytest.raises(UserError, match="Frame 3 shows 1 face"):
        followed(
            pictures[:6], aligner, finder, FacesWanted(FaceChoice.largest(), (FaceChoice.point(335, 100, frame=3),))
        )


def test_only_one_shot_is_followed(heads: list[tuple[Picture, Picture]], aligner: Aligner, finder: FaceFinder) -> None:
    shot = list(moving(heads, 10, still(160, 150), still(480, 150)))
    other = [np.asarray(cv2.resize(picture, (640, 300)), np.uint8) for picture in coffee(9)]
    found = followed([*other, *shot, *[p[:, ::-1].copy() for p in other]], aligner, finder)
    assert [len(face) for face in found.faces] == [28, 28]
    for face in found.faces:
        assert [f.number for f in face if f.alignment] == list(range(10, 20))
        assert [face[n].shot for n in (0, 12, 27)] == [0, 1, 2]


@pytest.mark.parametrize("people", [6, 8])
def test_more_faces_than_can_be_followed_are_said(
    heads: list[tuple[Picture, Picture]], aligner: Aligner, finder: FaceFinder, people: int
) -> None:
    picture = np.full((300, 640, 3), 170, np.uint8)
    for place in range(people):
        x, y = 10 + 160 * (place // 2), 5 + 150 * (place % 2)
        picture[y : y + 2 * REACH, x : x + 2 * REACH] = heads[0][(place + place // 2) % 2]
    found = followed([picture], aligner, finder)
    assert len(found.faces) == 6 and found.overflowed == (people > 6)
    for place in range(people):  # and each can be chosen
        x, y = 80 + 160 * (place // 2), 75 + 150 * (place % 2)
        (face,) = followed([picture], aligner, finder, FacesWanted(FaceChoice.point(x, y))).faces
        assert face[0].alignment is not None and np.hypot(*np.subtract(face[0].alignment.box.centre, (x, y))) < 40
