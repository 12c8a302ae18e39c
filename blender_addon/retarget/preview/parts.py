"""What a preview is made of: faces seen from an anchor, footage cut to the face, names, and what lies between them.

Everything is in the preview scene's own units: a cell is 1 high, x to the right, z up, and the camera looks along y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ... import compat
from ...scene import axes, plate
from . import nodes as preview_nodes
from .face_frame import FaceFrame

F64 = NDArray[np.float64]

MADE = "flowface_preview"
"""Of every data-block that a preview made."""
WIDTH, LABEL = 0.8, 0.09
"""Of a cell, and of the strip for its name below it, where its height is 1."""
GUTTER = 0.02
FACES_HIGH = 4.4
"""A cell is this many times as high as a face from its eyes to its mouth: a head with room for a dropped jaw."""
FRONT, NAMES, BACK = -4.0, -4.5, 3.0
"""Where along y the frame before the faces, the names and the wall behind are; faces are about 0."""
DARK, LIGHT = (0.03, 0.03, 0.033), (0.9, 0.9, 0.9)
CLAY, PALE = (0.42, 0.31, 0.25), (0.78, 0.76, 0.72)
"""Linear colours of heads that have none, and of their eyes and teeth."""
WITHIN = 0.8
"""Of a face from eyes to mouth: eyes are so near to its middle, ears and caps are not."""
SAMPLES = 9
"""Frames at which is looked where the face is in the footage."""
MOSTLY, HALF_FACE = 0.9, 0.6
"""In this share of the frames so much of a cell's half is between the face's middle and the edge of the footage: a face
that travels farther is shown with more of the picture, and smaller."""


def made(block: Any) -> Any:
    """Mark a data-block as the preview's own."""
    block[MADE] = True
    return block


@dataclass(frozen=True)
class Footage:
    """A view's picture: its camera, the background behind it, its size upright, what it is called."""

    camera: Any
    background: Any
    size: tuple[int, int]
    name: str


@dataclass(frozen=True)
class Stand:
    """The empties of a face: ``face`` moves with it, ``anchor`` is what it is seen from."""

    face: Any
    anchor: Any


def stand(scene: Any, name: str, frame: FaceFrame, camera: Any, *, still: bool) -> Stand:
    """Empties that say where a face is, in metres of its own world.

    ``still`` shows the face from its own front, whatever the head does. Otherwise it turns, about its middle: as
    ``camera``, an empty, sees it, or without one as in its world.
    """
    skull = _empty(scene, f"{name} skull")
    for kind in ("COPY_LOCATION", "COPY_ROTATION"):
        _follow(skull, kind, frame.carrier, frame.bone)
    face = _empty(scene, f"{name} face")
    face.parent = skull
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = frame.axes, frame.centre
    face.matrix_basis = Matrix(place.tolist())
    if still:
        return Stand(face, face)
    anchor = _empty(scene, f"{name} anchor")
    _follow(anchor, "COPY_LOCATION", face)
    if camera is not None:
        _follow(anchor, "COPY_ROTATION", camera)
    else:
        anchor.rotation_mode = "QUATERNION"
        anchor.rotation_quaternion = _at_rest(frame).to_quaternion()
    return Stand(face, anchor)


def _at_rest(frame: FaceFrame) -> Matrix:
    """A face's axes in its world, while the bone that carries it rests."""
    world = frame.carrier.matrix_world.to_quaternion().to_matrix()
    rest = frame.carrier.data.bones[frame.bone].matrix_local.to_3x3() if frame.bone else Matrix.Identity(3)
    return world @ rest @ Matrix(frame.axes.tolist())


def camera_place(scene: Any, camera: Any) -> Any:
    """An empty where a camera of the take is."""
    place = _empty(scene, f"{camera.name} place")
    for kind in ("COPY_LOCATION", "COPY_ROTATION"):
        _follow(place, kind, camera)
    return place


def show_face(scene: Any, name: str, members: list[Any], there: Stand, frame: FaceFrame, middle: float) -> Any:
    """Show a character's meshes in the cell about ``middle`` (x)."""
    skin, pale = _plain(f"{name} clay", CLAY), _plain(f"{name} pale", PALE)
    dressed = {
        member: preview_nodes.Clay(skin if member == members[0] else pale, pale, WITHIN * frame.size)
        for member in members
        if not _has_colours(member)
    }
    scale = 1.0 / (FACES_HIGH * frame.size)
    reach = 0.5 / scale
    crop = preview_nodes.Crop(reach * (WIDTH - GUTTER), -reach * (1 + LABEL), reach * (1 + GUTTER))
    mesh = made(bpy.data.meshes.new(name))
    shown = made(bpy.data.objects.new(name, mesh))
    scene.collection.objects.link(shown)
    tree = preview_nodes.shown_in(there.anchor, members, dressed, crop, name)
    shown.modifiers.new("Shown", "NODES").node_group = made(tree)
    shown.location, shown.rotation_euler, shown.scale = (middle, 0.0, 0.0), (np.pi / 2, 0.0, 0.0), (scale,) * 3
    bpy.data.batch_remove([material for material in (skin, pale) if not material.users])
    return shown


def _has_colours(member: Any) -> bool:
    """Whether any of a mesh's materials is textured or of another colour than the white or grey of new ones."""
    worn = [slot.material for slot in member.material_slots if slot.material is not None]
    return any(_is_textured(material) or np.ptp(material.diffuse_color[:3]) > 0.02 for material in worn) or any(
        max(material.diffuse_color[:3]) < 0.5 for material in worn
    )


def _is_textured(material: Any) -> bool:
    nodes = material.node_tree.nodes if material.node_tree is not None else ()
    return any(node.type == "TEX_IMAGE" and node.image is not None for node in nodes)


def show_footage(scene: Any, view: Footage, place: Any, there: Stand, size: float, middle: float) -> Any:
    """Show the footage of a view in the cell about ``middle``: its face as large as the others', and all of its way.

    ``place`` is the empty of the view's camera, ``size`` the actor's face from eyes to mouth in metres.
    """
    low, high, centre, cell = _cut(_seen(scene, view, place, there.face, size), view.size)
    material = made(plate.picture_material(f"{view.name} footage"))
    tree = material.node_tree
    plate.play(tree, tree.nodes[plate.NODE], view.background, view.camera.data)
    tree.nodes.active = tree.nodes[plate.NODE]  # the one that solid shading shows
    upright = _box(low[0], low[1], high[0], high[1])
    corners = (upright - centre) * view.size / cell
    plane = _panel(scene, f"{view.name} footage", [corners + np.array([middle, 0.0])], 0.0, material)
    uv = plane.data.uv_layers.new(name="Picture").uv
    uv.foreach_set("vector", plate.stored_places(upright, view.background.rotation).ravel().astype(np.float32))
    return plane


def _seen(scene: Any, view: Footage, place: Any, face: Any, size: float) -> F64:
    """Where a face is in a view's picture on some frames (S,3): right and up from its middle in widths and heights, and
    from eyes to mouth in heights."""
    data, found = view.camera.data, []
    unit = axes.pinhole(axes.Lens(data.sensor_fit, 1.0, 1.0, 0.0, 0.0), 1.0, view.size)[0]
    wide, tall = view.size[0] / unit, view.size[1] / unit
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    keyed = {curve.data_path: curve for curve in compat.action_curves(data)}
    now = scene.frame_current
    for frame in np.linspace(scene.frame_start, scene.frame_end, SAMPLES).round():
        scene.frame_set(int(frame))
        graph = scene.view_layers[0].depsgraph
        camera, head = (obj.evaluated_get(graph).matrix_world for obj in (place, face))
        x, y, z = camera.inverted_safe() @ head.translation
        lens, shift_x, shift_y = (
            keyed[name].evaluate(frame) if name in keyed else getattr(data, name)
            for name in ("lens", "shift_x", "shift_y")
        )
        far = lens / sensor / max(-z, 1e-6)
        found.append(((x * far - shift_x) / wide, (y * far - shift_y) / tall, size * far / tall))
    scene.frame_set(now)
    return np.array(found)


def _cut(seen: F64, size: tuple[int, int]) -> tuple[F64, F64, F64, float]:
    """The part of a picture that is shown, two corners in its widths and heights from its middle, where in it the
    middle of the cell is, and how many pixels a cell is high."""
    centre, face = np.median(seen[:, :2], axis=0), float(np.median(seen[:, 2]))
    half = FACES_HIGH * face / 2 * np.array([WIDTH * size[1] / size[0], 1.0])
    away = np.quantile(np.abs(seen[:, :2] - centre), MOSTLY, axis=0)
    half = half * max(1.0, float((away / half).max()) + HALF_FACE)
    cell = 2 * float(half[1]) * size[1]
    return np.maximum(centre - half, -0.5), np.minimum(centre + half, 0.5), centre, cell


def show_name(scene: Any, text: str, middle: float) -> Any:
    """A name below a cell, as large as its strip, or smaller where it is long."""
    fonts = set(bpy.data.fonts)
    curve = made(bpy.data.curves.new(text, "FONT"))
    for font in set(bpy.data.fonts) - fonts:
        made(font)
    curve.body, curve.size, curve.align_x, curve.align_y = text, 0.5 * LABEL, "CENTER", "CENTER"
    box = curve.text_boxes[0]
    box.width, box.height, box.x, box.y = WIDTH - 4 * GUTTER, LABEL, -WIDTH / 2 + 2 * GUTTER, 0.0
    curve.overflow = "SCALE"
    curve.materials.append(_plain(text, LIGHT))
    label = made(bpy.data.objects.new(text, curve))
    label.location, label.rotation_euler = (middle, NAMES, -0.5 - LABEL / 2), (np.pi / 2, 0.0, 0.0)
    scene.collection.objects.link(label)
    return label


def show_frame(scene: Any, middles: list[float]) -> None:
    """A wall behind all cells, and before them what keeps each to itself."""
    material = _plain("Preview frame", DARK)
    low, high = middles[0] - WIDTH / 2, middles[-1] + WIDTH / 2
    _panel(scene, "Preview wall", [_box(low - 1, -2.0, high + 1, 2.0)], BACK, material)
    edges = [middle - WIDTH / 2 for middle in middles] + [high]
    bars = [_box(edge - GUTTER / 2, -0.5, edge + GUTTER / 2, 0.5) for edge in edges]
    _panel(scene, "Preview frame", [*bars, _box(low - 1, -2.0, high + 1, -0.5)], FRONT, material)


def _box(left: float, low: float, right: float, high: float) -> F64:
    return np.array([(left, low), (right, low), (right, high), (left, high)])


def _panel(scene: Any, name: str, quads: list[F64], depth: float, material: Any) -> Any:
    """An object of upright quads, each (4,2) of x and z."""
    mesh = made(bpy.data.meshes.new(name))
    points = [(float(x), depth, float(z)) for quad in quads for x, z in quad]
    mesh.from_pydata(points, [], [tuple(range(4 * n, 4 * n + 4)) for n in range(len(quads))])
    mesh.materials.append(material)
    panel = made(bpy.data.objects.new(name, mesh))
    panel.hide_select = True
    scene.collection.objects.link(panel)
    return panel


def _plain(name: str, colour: tuple[float, float, float]) -> Any:
    material = made(bpy.data.materials.new(name))
    material.diffuse_color = (*colour, 1.0)
    material.roughness = 0.8
    return material


def _empty(scene: Any, name: str) -> Any:
    empty = made(bpy.data.objects.new(name, None))
    empty.empty_display_size = 1e-3
    scene.collection.objects.link(empty)
    return empty


def _follow(obj: Any, kind: str, target: Any, bone: str = "") -> None:
    constraint = obj.constraints.new(kind)
    constraint.target = target
    if bone:
        constraint.subtarget = bone
