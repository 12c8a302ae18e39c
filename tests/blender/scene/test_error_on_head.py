"""The error on the head: an attribute of the mesh that follows the frame, and says where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import take_properties
from blender_addon.scene import build, error_on_head, ownership

from ..takes import Shot, make_take
from .test_picture_lines import INTER_OCULAR, with_landmarks

pytestmark = pytest.mark.usefixtures("addon")
SKIN = 14 * 9 + 2


def shown(collection: Any) -> NDArray[np.float32] | None:
    """The attribute as the evaluated mesh has it, of which viewports and materials read it."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    return error_on_head.errors_of(collection[ownership.HEAD].evaluated_get(depsgraph).data)


def test_the_attribute_follows_the_frame_and_is_unknown_far_from_landmarks(tmp_path: Path) -> None:
    take = with_landmarks(make_take(Shot()))
    take.cameras[0].landmarks_px[7, 1] = np.nan
    collection = build.build_take(bpy.context, take)
    bpy.context.scene.frame_set(3)
    setattr(collection, take_properties.ERROR, True)
    errors = shown(collection)
    assert errors is not None
    neutral, landmarks = take.head.neutral, take.landmark_vertices[:, 0]
    skin = np.arange(len(neutral)) < SKIN
    apart = np.linalg.norm(neutral[:, None] - neutral[landmarks], axis=2).min(axis=1) / INTER_OCULAR
    assert (errors[apart > error_on_head.REACH] == error_on_head.UNKNOWN).all()
    assert (errors[~skin] == error_on_head.UNKNOWN).all(), "no landmark is on an eye"
    known = skin & (apart < 0.99 * error_on_head.REACH)
    assert (errors[known] >= 0).all() and known.sum() < skin.sum()
    unit = take.cameras[0].focal_px[2] * INTER_OCULAR / take.head_translation[2, 2]
    assert errors[landmarks[1]] == pytest.approx(100 * 5 / unit, rel=0.5), "blended with its neighbours"
    bpy.context.scene.frame_set(8)
    after = shown(collection)
    assert after is not None and after[landmarks[1]] < errors[landmarks[1]], "not seen in this frame"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "take.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "take.blend"))
    collection = bpy.data.collections["take"]
    np.testing.assert_array_equal(shown(collection), after)
    bpy.context.scene.frame_set(3)
    np.testing.assert_allclose(shown(collection), errors, atol=1e-4, err_msg="it is followed in an opened file")
    setattr(collection, take_properties.ERROR, False)
    assert shown(collection) is None
    bpy.context.scene.frame_set(4)
    assert shown(collection) is None


def test_a_head_without_landmarks_is_unknown_everywhere_and_an_edited_one_is_worse() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    setattr(collection, take_properties.ERROR, True)
    errors = shown(collection)
    assert errors is not None and (errors == error_on_head.UNKNOWN).all()
    other = build.build_take(bpy.context, replace(with_landmarks(make_take(Shot())), name="other"))
    setattr(other, take_properties.ERROR, True)
    bpy.context.scene.frame_set(5)
    before = shown(other)
    other[ownership.HEAD].delta_location.x += 0.02
    bpy.context.scene.frame_set(6)
    bpy.context.scene.frame_set(5)
    after = shown(other)
    assert before is not None and after is not None
    assert after[before >= 0].mean() > before[before >= 0].mean() + 10, "2 cm of 8"
