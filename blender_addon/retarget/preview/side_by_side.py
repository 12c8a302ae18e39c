"""Footage, the actor's head and the characters that it drives, side by side in a scene of their own.

The preview shows the very objects that play elsewhere, once more: what drives or edits them is seen at once. Nothing
of any other scene is changed, and what the preview made is taken away with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np

from ... import compat
from ...scene import ownership, plate, sound
from .. import character_objects, drive, properties
from ..source import take_of
from . import face_frame
from . import parts as preview_parts
from .parts import MADE

OF = "flowface_preview_of"
"""Of a preview: the scene that it shows."""
STILL = "flowface_preview_still"
"""Of a preview: whether heads are shown without their motion."""
TAKE = "flowface_preview_take"
"""Of a preview: the take that it shows where no character is driven."""
SHADING = {
    "light": "STUDIO",
    "studio_light": "paint.sl",
    "color_type": "TEXTURE",
    "show_cavity": True,
    "cavity_type": "BOTH",
    "cavity_valley_factor": 2.0,
    "cavity_ridge_factor": 0.3,
    "curvature_valley_factor": 0.5,
    "curvature_ridge_factor": 0.5,
    "show_shadows": False,
    "show_object_outline": False,
    "show_specular_highlight": False,
    "background_type": "VIEWPORT",
    "background_color": preview_parts.DARK,
}
"""Even light from the front, which leaves footage 0.93 of its brightness (measured with a plane, Blender 4.5). Dark
where little of it comes, as in the mouth, and with edges drawn: an iris of its eye's colour is seen by its edge alone.
"""
CREVICE = 0.1
"""How far from a surface what is before it darkens it, in cells: about half of a face from eyes to mouth."""
HEIGHT = 480
"""Pixels of a cell in a render."""


class NothingToShow(Exception):  # noqa: N818 - its text is a sentence for the user
    """There is nothing that a preview could show; the message says what to do."""


@dataclass(frozen=True)
class Group:
    """A head that acts, and the characters that it drives: (object, its mapping) each."""

    source: Any
    targets: tuple[tuple[Any, Any], ...]


def preview_of(scene: Any) -> Any | None:
    """The preview of a scene; None where it has none."""
    return next((other for other in bpy.data.scenes if other.get(OF) == scene), None)


def shown_scene(scene: Any) -> Any | None:
    """The scene that a preview shows; None where it is no preview, or that scene was deleted."""
    shown = scene.get(OF)
    return shown if isinstance(shown, bpy.types.Scene) else None


def is_preview(scene: Any) -> bool:
    """True of a preview, also of one whose scene was deleted."""
    return OF in scene or MADE in scene


def groups_of(scene: Any, take: Any = None) -> list[Group]:
    """What there is to see of a scene: each source that drives characters, with them; else the head of a ``take``."""
    driven: dict[Any, list[tuple[Any, Any]]] = {}
    for target in getattr(scene, properties.NAME).targets:
        if not drive.is_gone(target.object):
            driven.setdefault(target.source, []).append((target.object, properties.mapping_of(target)))
    if not driven and take is not None and ownership.member(take, ownership.HEAD) is not None:
        driven[ownership.member(take, ownership.HEAD)] = []
    return [Group(source, tuple(targets)) for source, targets in driven.items()]


def show(scene: Any, take: Any = None, *, still: bool = True) -> Any:
    """The preview of a scene, made anew where there is one; ``take`` is shown where no character is driven.

    A preview made anew shows the same take again. ``still`` shows all heads from their front, whatever their motion.

    Raises:
        NothingToShow: there is neither a character nor a take.
    """
    preview = preview_of(scene)
    if take is None and preview is not None and isinstance(preview.get(TAKE), bpy.types.Collection):
        take = preview[TAKE]
    groups = groups_of(scene, take)
    if not groups:
        raise NothingToShow("There is nothing to preview: track footage, or choose a character under Retarget.")
    if preview is None:
        preview = preview_parts.made(bpy.data.scenes.new(f"{_title(groups)} Preview"))
        preview[OF] = scene
        preview.frame_current = scene.frame_current
    else:
        _clear(preview)
    preview[STILL] = still
    if take is not None:
        preview[TAKE] = take
    _follow_time(preview, scene)
    middles = _fill(preview, groups, still)
    preview_parts.show_frame(preview, middles)
    _look(preview, middles)
    for obj in preview.collection.objects:
        obj.hide_viewport = obj.type == "EMPTY"
    _sound(preview, groups)
    return preview


def remove(preview: Any) -> None:
    """Take a preview away; the scene itself stays where the user put something of their own into it."""
    _clear(preview)
    if len(preview.collection.all_objects) or len(bpy.data.scenes) == 1:
        for key in (OF, MADE, STILL, TAKE):
            preview.pop(key, None)
        return
    bpy.data.scenes.remove(preview)


def _clear(preview: Any) -> None:
    """Remove all that the preview made, but its scene."""
    mine = [obj for obj in preview.collection.all_objects if MADE in obj]
    fonts = [font for font in bpy.data.fonts if MADE in font]
    blocks = {obj.data for obj in mine} | {
        mod.node_group for obj in mine for mod in obj.modifiers if mod.type == "NODES"
    }
    worn = {slot.material for obj in mine for slot in obj.material_slots} | {
        node.inputs["Material"].default_value
        for tree in blocks
        if isinstance(tree, bpy.types.NodeTree)
        for node in tree.nodes
        if node.type == "SET_MATERIAL"
    }
    images = {
        node.image
        for material in worn - {None}
        if MADE in material and material.node_tree is not None
        for node in material.node_tree.nodes
        if node.name == plate.NODE
    }
    preview.camera = None
    bpy.data.batch_remove(mine)
    for found in (blocks, worn, set(fonts)):
        bpy.data.batch_remove([block for block in found - {None} if MADE in block and not block.users])
    for image in images - {None}:
        if plate.PLATE in image and not image.users:
            bpy.data.images.remove(image)
    _silence(preview)


def _silence(preview: Any) -> None:
    if preview.sequence_editor is None:
        return
    strips = compat.strips_of(preview.sequence_editor)
    sounds = {strip.sound for strip in strips if strip.type == "SOUND" and sound.STRIP_KEY in strip}
    for strip in [strip for strip in strips if sound.STRIP_KEY in strip]:
        strips.remove(strip)
    if not len(strips):
        preview.sequence_editor_clear()
    bpy.data.batch_remove([block for block in sounds - {None} if not block.users])


def _title(groups: list[Group]) -> str:
    source = groups[0].source
    take = take_of(source) if source is not None else None
    shown = take if take is not None else source if source is not None else groups[0].targets[0][0]
    return str(shown.name)


def _follow_time(preview: Any, scene: Any) -> None:
    """Let the preview count and play as the scene does."""
    for name in ("fps", "fps_base", "frame_map_old", "frame_map_new"):
        setattr(preview.render, name, getattr(scene.render, name))
    for name in ("frame_start", "frame_end", "use_preview_range", "frame_preview_start", "frame_preview_end"):
        setattr(preview, name, getattr(scene, name))
    preview.sync_mode = "AUDIO_SYNC"


def _fill(preview: Any, groups: list[Group], still: bool) -> list[float]:
    """Make all cells; returns their middles."""
    middles: list[float] = []

    def cell(name: str) -> float:
        middles.append(len(middles) * preview_parts.WIDTH)
        preview_parts.show_name(preview, name, middles[-1])
        return middles[-1]

    for group in groups:
        if group.source is not None:
            _show_source(preview, group.source, still, cell)
        seen: set[Any] = set()
        for target, mapping in group.targets:
            members = _members(target)
            if members and target not in seen:  # teeth or brows may be targets beside the head that they are part of
                seen.update(members)
                frame = face_frame.of_target(target, mapping)
                there = preview_parts.stand(preview, target.name, frame, None, still=still)
                preview_parts.show_face(preview, target.name, members, there, frame, cell(target.name))
    return middles


def _show_source(preview: Any, source: Any, still: bool, cell: Any) -> None:
    take, frame = take_of(source), face_frame.of_source(source)
    views = ownership.shown_views(ownership.main_of(take)) if take is not None else []
    view = next((view for view in views if view.camera is not None), None)
    place = preview_parts.camera_place(preview, view.camera) if view is not None else None
    there = preview_parts.stand(preview, source.name, frame, place, still=still)
    footage = _footage(view) if view is not None else None
    if footage is not None:
        preview_parts.show_footage(preview, footage, place, there, frame.size, cell(footage.name))
    name = take.name if take is not None else source.name
    members = _members(source)
    if members:  # an actor's weights can also be an empty's properties
        preview_parts.show_face(preview, name, members, there, frame, cell(name))


def _footage(view: ownership.ShownView) -> preview_parts.Footage | None:
    """The picture of a view; None where none is behind its camera."""
    background = plate.background_of(view)
    if background is None or view.size is None:
        return None
    picture = background.clip if background.source == "MOVIE_CLIP" else background.image
    name = bpy.path.basename(picture.filepath) or picture.name
    return preview_parts.Footage(view.camera, background, view.size, name)


def _members(obj: Any) -> list[Any]:
    """The meshes of a character, the one with its face first: itself, or the largest that its armature carries."""
    found = character_objects.meshes_of(obj)
    return found if obj.type == "MESH" else sorted(found, key=lambda mesh: -len(mesh.data.vertices))


def _look(preview: Any, middles: list[float]) -> None:
    """Light, camera and size of the picture."""
    wide = len(middles) * preview_parts.WIDTH
    data = preview_parts.made(bpy.data.cameras.new("Preview"))
    data.type, data.sensor_fit, data.ortho_scale, data.clip_end = "ORTHO", "HORIZONTAL", wide, 100.0
    camera = preview_parts.made(bpy.data.objects.new("Preview", data))
    camera.location = (sum(middles) / len(middles), -20.0, -preview_parts.LABEL / 2)
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    preview.collection.objects.link(camera)
    preview.camera = camera
    preview.render.engine = "BLENDER_WORKBENCH"
    set_height(preview, HEIGHT)
    preview.display.render_aa, preview.display.matcap_ssao_distance = _smoothing(), CREVICE
    preview.view_settings.view_transform = "Standard"
    shade(preview.display.shading)


def _smoothing() -> str:
    """Smooth edges, but where no graphics card draws: there they take as long as all else together (0.23 of 0.43 s of
    one core a frame of three cells)."""
    try:
        return "OFF" if gpu.platform.device_type_get() == "SOFTWARE" else "FXAA"
    except SystemError:  # no window, and nothing drawn yet: nobody knows
        return "OFF"


def set_height(preview: Any, height: int) -> None:
    """Let renders of a preview have cells of so many pixels' height; sizes are even, as H.264 wants them."""
    wide, tall = preview.camera.data.ortho_scale, 1 + preview_parts.LABEL
    preview.render.resolution_percentage = 100
    preview.render.resolution_x, preview.render.resolution_y = (2 * round(height * size / 2) for size in (wide, tall))


def has_sound(preview: Any) -> bool:
    """Whether there is anything to be heard in a preview."""
    editor = preview.sequence_editor
    return editor is not None and any(strip.type == "SOUND" for strip in compat.strips_of(editor))


def shade(shading: Any) -> None:
    """Give a viewport, or a scene's renders, the preview's light."""
    for name, value in SHADING.items():
        setattr(shading, name, value)


def _sound(preview: Any, groups: list[Group]) -> None:
    """Add the sound of the first footage that has one that fits."""
    for group in groups:
        take = take_of(group.source) if group.source is not None else None
        if take is None:
            continue
        try:
            sound.add_sound(preview, ownership.main_of(take))
        except sound.NoSound:
            continue
        return
