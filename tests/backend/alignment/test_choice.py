from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.alignment.choice import FaceChoice
from backend.alignment.landmarks.face_finder import distinct
from backend.observations import FaceBox, overlap

boxes = st.builds(
    FaceBox,
    st.floats(-200, 2000),
    st.floats(-200, 2000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.floats(0.5, 1),
)

LEFT, RIGHT, SMALL = FaceBox(10, 10, 100, 120), FaceBox(300, 20, 90, 100), FaceBox(200, 200, 20, 20)


def test_the_largest_face_is_the_default() -> None:
    assert FaceChoice().pick([SMALL, LEFT, RIGHT]) == 1
    assert FaceChoice().pick([]) is None


def test_a_box_picks_the_face_it_covers_most() -> None:
    assert FaceChoice.box(250, 0, 200, 150).pick([LEFT, RIGHT, SMALL]) == 1
    assert FaceChoice.box(600, 600, 50, 50).pick([LEFT, RIGHT, SMALL]) is None


def test_a_point_picks_the_face_around_it() -> None:
    assert FaceChoice.point(60, 70).pick([RIGHT, LEFT]) == 1
    assert FaceChoice.point(210, 211).pick([LEFT, RIGHT, SMALL]) == 2
    assert FaceChoice.point(640, 640).pick([LEFT, RIGHT, SMALL]) is None


def test_a_choice_with_the_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="4 values"):
        FaceChoice("box", (1.0, 2.0))


@given(boxes, boxes)
def test_overlap_is_symmetric_and_bounded(a: FaceBox, b: FaceBox) -> None:
    assert overlap(a, b) == pytest.approx(overlap(b, a))
    assert 0 <= overlap(a, b) <= 1 + 1e-9
    assert overlap(a, a) == pytest.approx(1)


@given(st.lists(boxes, max_size=12))
def test_distinct_boxes_do_not_overlap_and_leave_no_face_out(found: list[FaceBox]) -> None:
    kept = distinct(found)
    assert all(overlap(a, b) < 0.3 for i, a in enumerate(kept) for b in kept[:i])
    assert all(any(overlap(box, other) >= 0.3 or box == other for other in kept) for box in found)
    assert [box.area for box in kept] == sorted((box.area for box in kept), reverse=True)


@given(st.lists(boxes, min_size=1, max_size=5), st.integers(0, 4))
def test_a_face_is_picked_by_its_own_box(found: list[FaceBox], which: int) -> None:
    face = found[which % len(found)]
    picked = FaceChoice.box(face.left, face.top, face.width, face.height).pick(found)
    assert picked is not None
    assert overlap(found[picked], face) == pytest.approx(1)
