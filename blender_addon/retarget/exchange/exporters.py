"""The formats in which a character leaves Blender, each by Blender's own exporter with what an animated face needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy


@dataclass(frozen=True)
class Format:
    """A format: how a user knows it, and how the scene that is shown is written as one.

    ``of_points`` where it tells where points are and nothing of bones and shape keys; ``whole_rate`` where its exporter
    is exact at whole frame rates only; ``missing`` is said where this Blender has not the exporter.
    """

    name: str
    title: str
    help: str
    suffixes: tuple[str, ...]
    write: Callable[[Path, Any], object]
    is_there: Callable[[], bool]
    missing: str
    whole_rate: bool = False
    of_points: bool = False


def _gltf(path: Path, _scene: Any) -> object:
    # Keys go over as they are: sampling would evaluate everything once more, at whole frames only. The animations of
    # armature and shape keys become one.
    return bpy.ops.export_scene.gltf(
        filepath=str(path),
        check_existing=False,
        export_format="GLTF_SEPARATE" if path.suffix.lower() == ".gltf" else "GLB",
        use_active_scene=True,
        export_animations=True,
        export_animation_mode="ACTIVE_ACTIONS",
        export_force_sampling=False,
        export_frame_range=False,
        export_morph=True,
        export_morph_normal=True,
        export_morph_animation=True,
        export_skins=True,
        export_cameras=False,
        export_lights=False,
        export_extras=False,
    )


def _fbx(path: Path, _scene: Any) -> object:
    return bpy.ops.export_scene.fbx(
        filepath=str(path),
        check_existing=False,
        object_types={"ARMATURE", "MESH"},
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_simplify_factor=0.0,
        use_custom_props=False,
    )


def _usd(path: Path, _scene: Any) -> object:
    # Without armatures and shape keys it writes where all points are on each frame.
    return bpy.ops.wm.usd_export(
        filepath=str(path),
        check_existing=False,
        export_animation=True,
        export_armatures=False,
        export_shapekeys=False,
        export_custom_properties=False,
        export_cameras=False,
        export_lights=False,
        convert_world_material=False,
        evaluation_mode="VIEWPORT",
    )


def _alembic(path: Path, scene: Any) -> object:
    return bpy.ops.wm.alembic_export(
        filepath=str(path),
        check_existing=False,
        start=scene.frame_start,
        end=scene.frame_end,
        export_hair=False,
        export_particles=False,
        export_custom_properties=False,
        face_sets=True,
        evaluation_mode="VIEWPORT",
    )


def _enabled(operator: str) -> Callable[[], bool]:
    return lambda: hasattr(bpy.types, operator)


def _built_in(operator: str) -> Callable[[], bool]:
    return lambda: operator in dir(bpy.ops.wm)


FORMATS = (
    Format(
        "GLTF",
        "glTF",
        "Shape keys as morph targets, bones as a skin and their animation; other modifiers are left out",
        (".glb", ".gltf"),
        _gltf,
        _enabled("EXPORT_SCENE_OT_gltf"),
        "Enable the add-on “glTF 2.0 format” in Blender's preferences",
        whole_rate=True,
    ),
    Format(
        "FBX",
        "FBX",
        "Shape keys, bones and their animation; other modifiers are left out",
        (".fbx",),
        _fbx,
        _enabled("EXPORT_SCENE_OT_fbx"),
        "Enable the add-on “FBX format” in Blender's preferences",
    ),
    Format(
        "USD",
        "USD",
        "Where all points are on each frame, with all modifiers as the viewport shows them",
        (".usdc", ".usd", ".usda"),
        _usd,
        _built_in("usd_export"),
        "This Blender was built without USD",
        of_points=True,
    ),
    Format(
        "ALEMBIC",
        "Alembic",
        "Where all points are on each frame, with all modifiers as the viewport shows them",
        (".abc",),
        _alembic,
        _built_in("alembic_export"),
        "This Blender was built without Alembic",
        of_points=True,
    ),
)


def format_of(name: str) -> Format:
    """The format called ``name``."""
    return next(one for one in FORMATS if one.name == name)
