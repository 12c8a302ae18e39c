"""Before and after: another version as a ghost, exactly as it is when the take is switched to it, and gone without a
trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon.scene import build, ghost, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD

from ..takes import Shot, make_take
from .test_retrack import other_run, scaled

pytestmark = pytest.mark.usefixtures("addon")


SKIN = 14 * 9 + 2


def points(obj: Any, frame: int) -> NDArray[np.float64]:
    """Where the vertices of a head's skin are in the world by Blender's own evaluation."""
    bpy.context.scene.frame_set(frame)
    shown = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    local = np.empty(3 * len(shown.data.vertices), np.float32)
    shown.data.vertices.foreach_get("co", local)
    matrix = np.array(shown.matrix_world)
    return (local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])[:SKIN]


def two_versions() -> Any:
    """A take tracked twice, the second time of a larger person."""
    take = make_take(Shot())
    build.build_take(bpy.context, take)
    again = other_run(take)
    return build.build_take(bpy.context, replace(again, head=scaled(take.head, 1.1)))


def compare(version: str) -> set[str]:
    return set(bpy.ops.flowface.take_compare(version=version))


def state() -> tuple[dict[str, list[str]], dict[str, bool]]:
    kinds = ("objects", "meshes", "armatures", "materials", "actions", "collections", "shape_keys")
    names = {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in kinds}
    return names, {action.name: action.use_fake_user for action in bpy.data.actions}


def test_a_ghost_is_the_version_as_it_is_shown_and_leaves_nothing() -> None:
    collection = two_versions()
    before, keys = state(), sorted(collection.keys())
    now = {frame: points(collection[HEAD], frame) for frame in (1, 7)}
    assert compare("1") == {"FINISHED"} and ghost.shown_number(collection) == 1
    second = collection[ghost.HEAD]
    assert (second.display_type, second.hide_select, second.hide_render) == ("WIRE", True, True)
    assert second.show_in_front, "else a larger head hides it"
    seen = {frame: points(second, frame) for frame in (1, 7)}
    for frame, shown in now.items():
        np.testing.assert_array_equal(points(collection[HEAD], frame), shown)
        assert np.abs(seen[frame] - shown).max() > 0.005
    assert compare("0") == {"FINISHED"} and ghost.shown_number(collection) is None
    assert (state(), sorted(collection.keys())) == (before, keys)
    versions.switch(bpy.context, collection, 1)
    for frame, shown in seen.items():
        np.testing.assert_allclose(points(collection[HEAD], frame), shown, atol=1e-6)


def test_a_ghost_follows_edits_and_timing_of_its_version() -> None:
    collection = two_versions()
    compare("1")
    second = collection[ghost.HEAD]
    seen = points(second, 7)
    retime.retime(collection, start=21.0)
    np.testing.assert_allclose(points(second, 27), seen, atol=1e-6)
    assert collection[ghost.RIG].animation_data.action != collection[ARMATURE].animation_data.action
    assert collection[ghost.RIG].animation_data.action in versions.actions_of(collection)


def test_ghosts_do_not_outlive_what_they_are_of() -> None:
    collection = two_versions()
    assert bpy.ops.flowface.take_version(version="1") == {"FINISHED"}
    assert compare("2") == {"FINISHED"}
    assert bpy.ops.flowface.take_version(version="2") == {"FINISHED"}
    assert ghost.shown_number(collection) is None, "it would be the take itself"
    compare("1")
    assert bpy.ops.flowface.take_head_motion(where="CAMERA") == {"FINISHED"}
    assert ghost.shown_number(collection) is None
    with pytest.raises(ghost.CannotCompare, match="On the Head"):
        ghost.show(bpy.context, collection, 1)
    assert bpy.ops.flowface.take_head_motion(where="HEAD") == {"FINISHED"}
    compare("1")
    copy = takes.duplicate(bpy.context.scene, collection)
    assert ghost.HEAD not in copy and len(copy.objects) == len(collection.objects)
    compare("1")
    takes.delete(collection)
    takes.delete(copy)
    assert not len(bpy.data.objects) and not len(bpy.data.meshes) and not len(bpy.data.armatures)


def test_a_ghost_is_undone() -> None:
    two_versions()
    bpy.ops.ed.undo_push(message="Before")
    before = state()
    compare("1")
    bpy.ops.ed.undo_push(message="Compare")
    bpy.ops.ed.undo()
    assert state() == before and ghost.shown_number(bpy.data.collections["take"]) is None
