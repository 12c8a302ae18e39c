"""What can be done to a take, done together: each keeps what the others made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.scene import build, ghost, head_motion, takes
from blender_addon.scene.ownership import ARMATURE, actors_of
from blender_addon.scene.plan import plan_for

from .test_actors import SEEN, faces, together
from .test_build import show, shown_pixels
from .test_retrack import other_run

pytestmark = pytest.mark.usefixtures("addon")


def two_heads_twice() -> tuple[Any, Any]:
    """A take with two heads, tracked twice."""
    first, second = faces()
    collection = build.build_take(bpy.context, together(first, second), job="one")
    build.build_take(bpy.context, together(other_run(first), other_run(second)), job="two")
    return collection, actors_of(collection)[0]


def test_no_head_is_compared_while_the_cameras_move_instead() -> None:
    collection, other = two_heads_twice()
    ghost.show(bpy.context, other, 1)
    bpy.context.view_layer.objects.active = collection[ARMATURE]
    assert bpy.ops.flowface.take_head_motion(where="CAMERA") == {"FINISHED"}
    assert ghost.shown_number(other) is None, "it would stay where the cameras are no longer"
    with pytest.raises(ghost.CannotCompare, match="of “take” to “On the Head”"):
        ghost.show(bpy.context, other, 1)


def test_a_face_that_joins_stands_where_the_moved_cameras_see_it() -> None:
    first, second = faces()
    view = replace(second.cameras[0], focal_px=second.cameras[0].focal_px * 1.2)
    alone = replace(second, name="take", cameras=(view,), report=SEEN)
    collection, seen = build.build_take(bpy.context, first), []
    for where in (head_motion.HEAD, head_motion.CAMERA):
        head_motion.move(collection, where)
        other = build.build_take(bpy.context, alone, plan=plan_for(bpy.context.scene, alone))
        assert head_motion.place_of(collection) == where
        show(8)
        seen.append(shown_pixels(other))
        takes.delete(other)
    assert np.abs(seen[0] - seen[1]).max() < 0.05
