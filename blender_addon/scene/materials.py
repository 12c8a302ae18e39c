"""Plain, pleasant materials for the parts of a head, shared by all takes of a file so that a user's edits last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

PART_KEY = "flowface_part"


@dataclass(frozen=True)
class Surface:
    """Base colour (linear RGB) and roughness."""

    colour: tuple[float, float, float]
    roughness: float


SURFACES = {
    "skin": Surface((0.62, 0.40, 0.31), 0.50),
    "eyes": Surface((0.85, 0.84, 0.82), 0.15),
    "iris": Surface((0.09, 0.16, 0.20), 0.10),
    "pupil": Surface((0.003, 0.003, 0.003), 0.05),
    "teeth": Surface((0.72, 0.68, 0.58), 0.30),
    "tongue": Surface((0.42, 0.13, 0.12), 0.40),
    "lashes": Surface((0.02, 0.015, 0.01), 0.60),
}
OTHER = Surface((0.45, 0.45, 0.45), 0.5)


def material_for(part: str) -> Any:
    """The material of a head part: the one this file already has (with the user's changes), or a new one."""
    for material in bpy.data.materials:
        if material.get(PART_KEY) == part and material.library is None:
            return material
    surface = SURFACES.get(part, OTHER)
    material = bpy.data.materials.new(f"FlowFace {part}")
    material[PART_KEY] = part
    colour = (*surface.colour, 1.0)
    material.diffuse_color = colour
    material.roughness = surface.roughness
    if material.node_tree is None:  # from Blender 5.0 on every material has nodes and use_nodes does nothing
        material.use_nodes = True
    shader = material.node_tree.nodes.get("Principled BSDF")
    shader.inputs["Base Color"].default_value = colour
    shader.inputs["Roughness"].default_value = surface.roughness
    return material
