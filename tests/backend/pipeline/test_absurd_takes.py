"""Earlier takes whose numbers no fit finds are refused where a job would build on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.library import load_head
from backend.head_model.model import SurfacePoints
from backend.observations import PointSet, PointSetId
from backend.observations.io import save_alignments
from backend.pipeline.neutral_prior import predictor_for
from backend.pipeline.refine_source import read_source
from backend.track.io import load_track, save_track
from backend.track.types import Track
from tests.backend.observations.test_io import frame, stacked
from tests.backend.track.test_io import small_track


def take() -> Track:
    """A take of the open head, three frames of a neutral face."""
    head, track = load_head(), small_track(3, 1)
    count = len(head.expression_names)
    return replace(
        track,
        head_id=head.id,
        head_hash=head.hash,
        cameras=(replace(track.cameras[0], footage_frames=np.arange(5, 8)),),
        identity=np.zeros(len(head.shape_basis), np.float32),
        expression=np.zeros((3, count), np.float32),
        expression_sigma=np.zeros((3, count), np.float32),
        deformation=np.zeros((0, 3), np.float32),
        action_corrections=np.zeros((count, 0, 3), np.float16),
    )


def test_a_person_of_another_size_than_people_is_no_prior(tmp_path: Path) -> None:
    track, path = take(), tmp_path / "track.npz"
    for identity, reason in ((1.0, None), (9000.0, "a face of no person"), (1e30, "beyond 10000")):
        absurd = replace(track, identity=np.full_like(track.identity, identity))
        if identity > 1e4:
            with pytest.raises(UserError, match=reason):
                save_track(absurd, path)
            continue
        save_track(absurd, path)
        assert load_track(path).identity[0] == identity
        if reason is None:
            predictor_for(str(path)).neutrals(load_head(), ())
        else:
            with pytest.raises(UserError, match=reason):
                predictor_for(str(path)).neutrals(load_head(), ())


@pytest.mark.parametrize(
    ("name", "count", "triangle"), [("nobody's", 478, None), ("mediapipe478", 7, None), ("pins", 2, 10**8)]
)
def test_what_was_seen_of_points_that_the_head_has_not_is_not_refined(
    tmp_path: Path, name: str, count: int, triangle: int | None
) -> None:
    save_track(take(), tmp_path / "track.npz")
    free = None
    if triangle is not None:
        free = SurfacePoints(np.full(count, triangle, np.int32), np.full((count, 3), 1 / 3, np.float32))
    seen = PointSet(
        PointSetId(name, "x"),
        np.full((3, count, 2), 100, np.float32),
        np.ones((3, count), np.float32),
        np.ones((3, count), bool),
        free,
    )
    alignment = replace(stacked([frame(5), frame(6), frame(7)]), point_sets=(seen,))  # type: ignore[no-untyped-call]
    save_alignments([alignment], tmp_path / "alignments.npz")
    with pytest.raises(UserError, match="that the head “open” has not") as caught:
        read_source(tmp_path)
    assert caught.value.code == "bad_alignment"
