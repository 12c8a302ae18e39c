"""Another version of a take beside the one that is shown, as a wire that cannot be selected.

It is a second head on a second armature, which play that version's own Actions: what is edited in one of them is seen
at once. It stands where that version has it in the take, also where that version's camera had another lens.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .. import compat
from . import armature, head_motion, picture_lines, shape, wrinkles
from . import ownership as replace
from . import versions_of_take as versions

HEAD, RIG, NUMBER = "flowface_ghost", "flowface_ghost_armature", "flowface_ghost_version"
"""Of a take's collection: the second head, its armature, and the number of the version that they show."""


SKIN = "FlowFace skin"
"""Of the second head: the vertex group, and the modifier that shows it alone."""


class CannotCompare(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which a version cannot be shown beside another."""


def shown_number(take: Any) -> int | None:
    """The number of the version that is shown beside, None where none is."""
    return int(take[NUMBER]) if replace.member(take, HEAD) is not None and NUMBER in take else None


def show(context: Any, take: Any, number: int) -> None:
    """Show a version beside the present one, instead of any other. In Object Mode.

    Raises:
        CannotCompare: says why not.
    """
    remove(take)
    head, rig = (replace.member(take, role) for role in (replace.HEAD, replace.ARMATURE))
    data = take[versions.RECORD][str(number)]
    if head is None or rig is None:
        raise CannotCompare("The take's head or its armature was deleted: there is nothing to compare with.")
    if head_motion.place_of(take) != head_motion.HEAD:
        raise CannotCompare("Set Head Motion to “On the Head” to compare versions.")
    main = replace.main_of(take)
    if head_motion.place_of(main) == head_motion.CAMERA:
        raise CannotCompare(f"Set the Head Motion of “{main.name}” to “On the Head” to compare versions.")
    second_rig, second = rig.copy(), head.copy()
    name = f"{take.name} {data['name']}"
    second_rig.name, second.name = f"{name} ghost armature", f"{name} ghost"
    second_rig.data = rig.data.copy()
    second.data = (data["mesh"] if data.get("mesh") is not None else head.data).copy()
    for role, obj in ((RIG, second_rig), (HEAD, second)):
        replace.take_in(take, role, obj)
        obj.hide_select = obj.hide_render = True
    take[NUMBER] = number
    _reshape(context, second, second_rig, data)
    _attach(second, head, second_rig, rig)
    second.animation_data_clear()
    compat.assign_action(second_rig, data["actions"].get(versions.POSE))
    if second.data.shape_keys is not None:
        compat.assign_action(second.data.shape_keys, data["actions"].get(versions.EXPRESSION))
    wrinkles.take_off(second)  # a wire shows the shape
    _skin_only(second)
    second.display_type, second.show_in_front = "WIRE", True
    second.hide_viewport, second_rig.hide_viewport = False, True


def _reshape(context: Any, head: Any, rig: Any, data: Any) -> None:
    """Give the second head the version's shape, and its armature the version's joints."""
    points = shape.kept_shape(data.get("shape"), head.data)
    if points is not None and head.data.shape_keys is not None:
        shape.change_shape(head, shape.built_names(head.data), points)
    if "rest" in data:
        armature.place_bones_as(context, rig, np.array(data["rest"], np.float64).reshape(-1, 6))


def _attach(second: Any, head: Any, second_rig: Any, rig: Any) -> None:
    """Let the second armature carry the second head, as the first one does the first."""
    if head.parent == rig:
        inverse = head.matrix_parent_inverse.copy()
        second.parent = second_rig
        second.matrix_parent_inverse = inverse
    for modifier in second.modifiers:
        if modifier.type == "ARMATURE" and modifier.object == rig:
            modifier.object = second_rig


def _skin_only(head: Any) -> None:
    """Let a wire that is drawn over everything have no edges of eyes, teeth and what else is within."""
    mesh, parts = head.data, picture_lines.parts_of(head.data)
    if "skin" not in parts:
        return
    worn = np.flatnonzero(parts == "skin")
    inside = np.unique([v for face in mesh.polygons if face.material_index in worn for v in face.vertices])
    group = head.vertex_groups.new(name=SKIN)
    group.add(inside.tolist(), 1.0, "REPLACE")
    head.modifiers.new(SKIN, "MASK").vertex_group = group.name


def remove(take: Any) -> None:
    """Show no other version any more; the Actions that it played stay as they are."""
    blocks = []
    for role in (HEAD, RIG):
        obj = take.get(role)
        if isinstance(obj, bpy.types.Object):
            blocks.append(obj.data)
            bpy.data.objects.remove(obj)
        if role in take:
            del take[role]
    if NUMBER in take:
        del take[NUMBER]
    bpy.data.batch_remove([block for block in blocks if not block.users])
