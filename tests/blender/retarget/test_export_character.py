"""A character through Blender's exporters and back: what is seen after the import is what was seen before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from blender_addon.retarget import source
from blender_addon.retarget.exchange import exporters
from blender_addon.scene import armature, ownership
from tests.blender.retarget import characters

pytestmark = pytest.mark.usefixtures("addon")

FRAMES = range(3, 8)
RATE = 24 / 1.001
"""No whole number, as of much footage."""


def everything() -> dict[str, Any]:
    """What an export may not change: all that the file has, by name, and where the scene is."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    blocks = ("objects", "meshes", "armatures", "actions", "scenes", "shape_keys", "materials", "images", "collections")
    return {
        **{name: sorted(block.name_full for block in getattr(bpy.data, name)) for name in blocks},
        "frame": (scene.frame_current, scene.frame_subframe),
        "selected": [obj.name for obj in layer.objects if obj.select_get()],
        "active": layer.objects.active,
        "shown": (bpy.context.window.scene, bpy.context.window.view_layer.name),
    }


def courses(objects: list[Any], frames: Any) -> NDArray[np.float64]:
    """(V,T,3): where all vertices of meshes are in the world, as they are seen, on some frames."""
    out = []
    for frame in frames:
        whole = int(np.floor(frame + 1e-6))
        bpy.context.scene.frame_set(whole, subframe=max(0.0, float(frame) - whole))
        graph, points = bpy.context.evaluated_depsgraph_get(), []
        for obj in objects:
            seen = obj.evaluated_get(graph)
            local = np.empty(len(seen.data.vertices) * 3, np.float32)
            seen.data.vertices.foreach_get("co", local)
            world = np.array(seen.matrix_world)
            corners = np.empty(len(seen.data.loops), np.int32)
            seen.data.loops.foreach_get("vertex_index", corners)
            points.append(local.reshape(-1, 3)[np.unique(corners)] @ world[:3, :3].T + world[:3, 3])
        out.append(np.concatenate(points))
    return np.stack(out, axis=1)


def apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How far the vertex courses (V,T,3) of two files are apart at most, however the vertices are ordered or split."""
    one, other = (points.reshape(len(points), -1) for points in (one, other))
    there, _ = cKDTree(one).query(other)
    back, _ = cKDTree(other).query(one)
    return float(max(there.max(), back.max()) / np.sqrt(len(FRAMES)))


def actor() -> Any:
    """The open head, which speaks, nods, looks about; on a root that was turned and made twice as large."""
    count = 10
    rng = np.random.default_rng(2)
    actions = ("jawOpen", "mouthSmileLeft", "eyeBlinkRight", "browInnerUp")
    head = characters.performer({action: rng.uniform(0, 1, count) for action in actions}, rate=RATE)
    take = source.take_of(head)
    rig, root = ownership.member(take, ownership.ARMATURE), ownership.member(take, ownership.ROOT)
    root.rotation_euler.z, root.scale = 0.5, (2, 2, 2)
    for eye in armature.eye_bones(rig).values():
        eye.driver_add("rotation_euler", 2).driver.expression = "0.1 * frame"
    rig.animation_data.action = None
    rig.driver_add("location", 0).driver.expression = "0.01 * frame"
    rig.rotation_mode = "XYZ"
    rig.driver_add("rotation_euler", 2).driver.expression = "0.05 * frame"
    return head


def follower() -> Any:
    """Somebody's head with two keys that drivers move, under an empty that a constraint turns."""
    deltas = {name: np.zeros((3, 3), np.float32) for name in ("jawOpen", "Küsschen")}
    deltas["jawOpen"][1], deltas["Küsschen"][2] = (0, -0.3, 0), (0, 0, 0.2)
    points = np.array([[0, 0, 0], [0, -1, 0], [1, 0, 0]], np.float32)
    obj = characters.mesh_object("Somebody", points, np.array([[0, 1, 2]], np.int32), deltas)
    keys = obj.data.shape_keys.key_blocks
    keys["jawOpen"].driver_add("value").driver.expression = "frame * 0.1"
    keys["Küsschen"].driver_add("value").driver.expression = "1 - frame * 0.1"
    above, turned = (bpy.data.objects.new(name, None) for name in ("Stand", "Turntable"))
    for empty in (above, turned):
        bpy.context.scene.collection.objects.link(empty)
    turned.driver_add("rotation_euler", 2).driver.expression = "frame * 0.2"
    above.constraints.new("COPY_ROTATION").target = turned
    obj.parent = above
    bpy.context.scene.render.fps = 24
    return obj


def rigged() -> Any:
    """A jaw bone in two steps, the second one turned by a constraint and not with the first, and a tooth on it."""
    made = characters.mesh_object("Jaw", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32), {})
    tooth = characters.mesh_object("Tooth", np.eye(3, dtype=np.float32) * 0.2, np.array([[0, 1, 2]], np.int32), {})
    hidden = characters.mesh_object("Hidden", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32), {})
    rig = bpy.data.objects.new("Bones", bpy.data.armatures.new("Bones"))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    first, second = (rig.data.edit_bones.new(name) for name in ("first", "second"))
    first.head, first.tail, second.head, second.tail = (0, 0, 0), (0, 0.5, 0.2), (0, 0.6, 0.2), (0.2, 1, 0)
    second.parent, second.use_inherit_rotation, second.inherit_scale = first, False, "NONE"
    bpy.ops.object.mode_set(mode="OBJECT")
    bones = rig.pose.bones
    for index in range(3):
        bones["first"].driver_add("scale", index).driver.expression = "1 + frame * 0.01"
    bones["first"].rotation_mode = "XYZ"
    bones["first"].driver_add("rotation_euler", 0).driver.expression = "frame * 0.1"
    bones["second"].constraints.new("COPY_ROTATION").target = tooth_turn = bpy.data.objects.new("Turn", None)
    bpy.context.scene.collection.objects.link(tooth_turn)
    tooth_turn.driver_add("rotation_euler", 1).driver.expression = "frame * 0.1"
    for index, name in enumerate(("first", "second", "second")):
        (made.vertex_groups.get(name) or made.vertex_groups.new(name=name)).add([index], 1.0, "REPLACE")
    made.modifiers.new("Armature", "ARMATURE").object = rig
    tooth.parent, tooth.parent_type, tooth.parent_bone, tooth.location = rig, "BONE", "second", (0.1, 0, 0)
    hidden.parent, hidden.hide_viewport = rig, True
    return rig


def stretched() -> Any:
    """The same with a bone that is stretched, which shears what is turned on it: nothing but points can say so."""
    rig = rigged()
    rig.pose.bones["first"].driver_remove("scale", 0)
    return rig


def shown(obj: Any) -> list[Any]:
    """The meshes that an export of an object is expected to have."""
    return [obj] if obj.type == "MESH" else [bpy.data.objects[name] for name in ("Jaw", "Tooth")]


def gltf_in(path: Path) -> float:
    bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)
    return 24.0


def fbx_in(path: Path) -> float:
    bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    return 24.0


def usd_in(path: Path) -> float:
    bpy.ops.wm.usd_import(filepath=str(path))
    return RATE


def alembic_in(path: Path) -> float:
    bpy.ops.wm.alembic_import(filepath=str(path))
    return RATE


IN: dict[str, Callable[[Path], float]] = {"GLTF": gltf_in, "FBX": fbx_in, "USD": usd_in, "ALEMBIC": alembic_in}
"""Blender's importers; they tell how many frames a second of the file has become."""
HOLDS_KEYS = ("GLTF", "FBX")


CASES = [(make, name) for make in (actor, follower, rigged, stretched) for name in IN]


@pytest.mark.parametrize(
    ("make", "name"), [case for case in CASES if case[0] != stretched or case[1] not in HOLDS_KEYS]
)
def test_what_was_seen_is_seen_after_the_import(make: Any, name: str, tmp_path: Path) -> None:
    obj, scene, form = make(), bpy.context.scene, exporters.format_of(name)
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    scene.render.fps, scene.render.fps_base = 24, 1.001
    called, expected, weights = obj.name, courses(shown(obj), FRAMES), weights_of(obj)
    names = [mesh.name for mesh in shown(obj)]
    scene.frame_set(5, subframe=0.25)
    before, path = everything(), tmp_path / f"face{form.suffixes[0]}"
    assert bpy.ops.flowface.export_character(format=name, filepath=str(path), character=called) == {"FINISHED"}
    assert everything() == before

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    rate = IN[name](path) if name in HOLDS_KEYS else at_rate(name, path)
    frames = (np.array(FRAMES) - (FRAMES[0] if form.whole_rate else 0)) * rate / RATE
    meshes = sorted((one for one in scene.objects if one.type == "MESH"), key=lambda one: one.name)
    read, size = courses(meshes, frames), float(np.ptp(expected[:, 0], axis=0).max())
    assert apart(expected, read) < 1e-5 * size
    assert [mesh.name.replace("_", " ").removesuffix(".001") for mesh in meshes] == names
    if name in HOLDS_KEYS and weights:
        assert list(weights_of(meshes[0])) == list(weights), "all keys, called as they were"
        for key, course in weights_of(meshes[0], frames).items():
            np.testing.assert_allclose(course, weights[key], atol=1e-3)


def at_rate(name: str, path: Path) -> float:
    """Import at the frame rate of the footage."""
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 24, 1.001
    return IN[name](path)


def weights_of(obj: Any, frames: Any = FRAMES) -> dict[str, list[float]]:
    """What all shape keys are, as they are seen, by name."""
    out: dict[str, list[float]] = {}
    for frame in frames if getattr(obj.data, "shape_keys", None) is not None else ():
        whole = int(np.floor(frame + 1e-6))
        bpy.context.scene.frame_set(whole, subframe=max(0.0, float(frame) - whole))
        keys = obj.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get())
        for block in keys.key_blocks[1:]:
            out.setdefault(block.name, []).append(block.value)
    return out


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    path, head = str(tmp_path / "face.glb"), actor()
    bpy.ops.preferences.addon_disable(module="io_scene_gltf2")
    try:
        with pytest.raises(RuntimeError, match=r"Enable the add-on “glTF 2\.0 format” in Blender's preferences, to"):
            bpy.ops.flowface.export_character(format="GLTF", filepath=path, character=head.name)
    finally:
        bpy.ops.preferences.addon_enable(module="io_scene_gltf2")
    before = everything()
    for format_ in exporters.FORMATS:  # some exporters say nothing of it, others raise
        with pytest.raises(RuntimeError, match=r"“face.* cannot be written: No such file"):
            bpy.ops.flowface.export_character(format=format_.name, filepath=str(tmp_path / "no folder" / "face"))
    assert everything() == before
    head.hide_viewport = True
    with pytest.raises(RuntimeError, match="“actor head” is hidden: show it first"):
        bpy.ops.flowface.export_character(format="GLTF", filepath=path, character=head.name)
    with pytest.raises(RuntimeError, match="Select a character"):
        bpy.ops.flowface.export_character(format="GLTF", filepath=path, character="nobody")
    assert not list(tmp_path.iterdir())


def test_a_library_override_leaves_as_it_plays_here(tmp_path: Path) -> None:
    obj, library = follower(), tmp_path / "character.blend"
    obj.parent = None
    bpy.data.libraries.write(str(library), {obj})
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Somebody"]
    (linked,) = wanted.objects
    bpy.context.scene.collection.objects.link(linked)
    mine = linked.override_create(remap_local_usages=True)
    mine.location.x = 0.5
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = FRAMES[0], FRAMES[-1], 24
    expected, path, before = courses([mine], FRAMES), tmp_path / "face.glb", everything()
    assert bpy.ops.flowface.export_character(format="GLTF", filepath=str(path), character="Somebody") == {"FINISHED"}
    assert everything() == before
    bpy.ops.wm.read_factory_settings(use_empty=True)
    gltf_in(path)
    assert apart(expected, courses([bpy.data.objects["Somebody"]], np.arange(5))) < 1e-5
