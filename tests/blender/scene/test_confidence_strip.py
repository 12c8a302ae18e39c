"""The strip along the timeline: good, fair, poor and lost stretches, where the take is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.scene import build, confidence, confidence_strip, retime

from ..takes import Shot, make_take

GOOD, FAIR, POOR, UNKNOWN = range(4)


def found(collection: Any) -> list[tuple[float, float, int]]:
    known = confidence.confidence_of(collection)
    assert known is not None
    strip = confidence_strip.stretches(known)
    return list(zip(strip.first.tolist(), strip.last.tolist(), strip.grade.tolist(), strict=True))


def test_stretches_are_the_worse_of_error_and_uncertainty_and_move_with_the_take() -> None:
    take = make_take(Shot(first_frame=11))
    error = np.array([0.5, 0.5, 1.5, 2.5, np.nan, np.nan, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], np.float32)
    spread = np.array([1, 1, 1, 1, 9, 9, 1, 1, 1, 3.5, 3.5, 9], np.float32)
    collection = build.build_take(
        bpy.context, replace(take, reprojection_error_percent_iod=error, uncertainty_mm=spread)
    )
    wanted = [
        (10.5, 12.5, GOOD),
        (12.5, 13.5, FAIR),
        (13.5, 14.5, POOR),
        (14.5, 16.5, UNKNOWN),
        (16.5, 19.5, GOOD),
        (19.5, 21.5, FAIR),
        (21.5, 22.5, POOR),
    ]
    assert found(collection) == wanted
    retime.retime(collection, start=101.0, speed=0.5)
    assert found(collection) == [(2 * first + 79, 2 * last + 79, grade) for first, last, grade in wanted]


@pytest.mark.parametrize(("error", "grade"), [(0.8, GOOD), (np.nan, UNKNOWN)])
def test_a_single_frame_has_a_stretch(error: float, grade: int) -> None:
    take = make_take(Shot(frame_count=1, first_frame=3))
    alone = replace(take, tracked=np.array([np.isfinite(error)]), reprojection_error_percent_iod=np.float32([error]))
    assert found(build.build_take(bpy.context, alone)) == [(2.5, 3.5, grade)]


def test_a_head_that_follows_the_skin_may_leave_the_points_further_off() -> None:
    error = np.repeat(np.float32([1.2, 2.5, 3.0]), 4)
    take = replace(make_take(Shot()), reprojection_error_percent_iod=error)
    with_skin = replace(take, skin_error_percent_iod=np.full(12, 0.4, np.float32))
    grades = [{grade for *_, grade in found(build.build_take(bpy.context, one))} for one in (take, with_skin)]
    assert grades == [{FAIR, POOR, UNKNOWN}, {GOOD, FAIR, POOR, UNKNOWN}]
