"""Two aligners' points as one set."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from backend.alignment.combined import CombinedAligner
from backend.alignment.flowface.aligner import FlowFaceAligner
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.head_model.dense_points import DENSE
from backend.head_model.library import load_head
from backend.observations import FaceBox
from tests.backend.alignment.flowface.networks import constant_network

FACE = FaceBox(170.0, 60.0, 110.0, 130.0)


@pytest.fixture(scope="module")
def head_and_parts() -> tuple[object, FlowFaceAligner, LandmarkAligner]:
    head = load_head()
    return head, FlowFaceAligner(constant_network(), head), LandmarkAligner()


def test_both_are_told_side_by_side(head_and_parts) -> None:  # type: ignore[no-untyped-def]
    head, dense, sparse = head_and_parts
    image, count = astronaut(), len(head.landmarks[DENSE])
    (joined,) = CombinedAligner(dense, sparse, head, 3.0).align([image], [FACE])
    (of_dense,) = dense.align([image], [FACE])
    (of_sparse,) = sparse.align([image], [of_dense.box])
    assert [(s.id.name, s.id.made_by) for s in joined.point_sets] == [
        (DENSE, "flowface"),
        ("mediapipe478", "mediapipe"),
    ]
    assert [len(s.mu) for s in joined.point_sets] == [count, 478]
    np.testing.assert_array_equal(joined.mu, np.concatenate([of_dense.mu, of_sparse.mu]))
    np.testing.assert_allclose(joined.sigma, np.concatenate([3 * of_dense.sigma, of_sparse.sigma]), rtol=1e-6)
    assert joined.box == of_dense.box


def test_what_one_does_not_see_the_other_tells_alone(head_and_parts) -> None:  # type: ignore[no-untyped-def]
    head, dense, sparse = head_and_parts
    count, wall = len(head.landmarks[DENSE]), np.full((512, 512, 3), 90, np.uint8)
    (joined,) = CombinedAligner(dense, sparse, head, 1.0).align([wall], [FACE])  # this network sees faces everywhere
    assert joined.valid[:count].any() and not joined.valid[count:].any()
    assert np.isfinite(joined.mu).all() and (joined.sigma > 0).all()
    assert CombinedAligner(dense, sparse, head, 1.0).align([wall], [None]) == [None]


def test_only_what_belongs_together_is_combined(head_and_parts) -> None:  # type: ignore[no-untyped-def]
    head, dense, sparse = head_and_parts
    with pytest.raises(ValueError, match="cannot combine"):
        CombinedAligner(sparse, dense, head, 1.0)
