"""Wrinkles on a head: where numpy says from the posed mesh, with edits and other Actions, and handled as takes are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import compat, take_properties
from blender_addon.scene import build, ghost, materials, takes, wrinkle_bump, wrinkle_nodes, wrinkles
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD
from protocol.take import TakeResult
from tests.backend.detail.made_up import waves

from ..wrinkled import wrinkled
from .test_look import open_take, vector

SIDE = 32
MAPS = waves(SIDE).astype(np.float16).astype(np.float64)
"""As they arrive."""
OTHER = waves(SIDE, seed=9)


@dataclass
class Evaluated:
    """A head as the viewport has it: points, normals, corners' vertices and UVs, and values of attributes on points."""

    points: NDArray
    normals: NDArray
    corners: NDArray
    uv: NDArray
    attributes: dict[str, NDArray]


def shown(take: bpy.types.Collection) -> Evaluated:
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    mesh = take[HEAD].evaluated_get(graph).data  # gone with the next change
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    kinds = {"FLOAT": ("value", 1), "FLOAT_VECTOR": ("vector", 3)}
    return Evaluated(
        points=vector(mesh.vertices, "co", 3).astype(np.float64),
        normals=vector(mesh.vertex_normals, "vector", 3).astype(np.float64),
        corners=corners,
        uv=vector(mesh.uv_layers["FlowFace"].uv, "vector", 2).astype(np.float64),
        attributes={
            one.name: vector(one.data, *kinds[one.data_type]).squeeze()
            for one in mesh.attributes
            if one.data_type in kinds and one.domain == "POINT"
        },
    )


def edges_of(mesh: bpy.types.Mesh) -> NDArray:
    out = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", out)
    return out.reshape(-1, 2)


def plain_points(take: bpy.types.Collection) -> NDArray:
    wrinkles.set_shown(take, False)
    points = shown(take).points
    wrinkles.set_shown(take, True)
    return points


def expected_tension(take: bpy.types.Collection, posed: NDArray) -> NDArray:
    """(V,) of the definition, from the object's own edges, keys and the points that the armature left."""
    head = take[HEAD]
    rest = vector(head.data.shape_keys.key_blocks["Basis"].points, "co", 3).astype(np.float64)
    edges = edges_of(head.data)
    before, after = (np.linalg.norm(p[edges[:, 0]] - p[edges[:, 1]], axis=1) for p in (rest, posed))
    total, count = np.zeros(len(rest)), np.zeros(len(rest))
    for end in edges.T:
        np.add.at(total, end, after / before - 1)
        np.add.at(count, end, 1)
    return total / np.maximum(count, 1)


def sampled(uv: NDArray) -> NDArray:
    """(n,3) of the maps between the centres of texels; beyond the outermost, these."""
    x, y = np.clip(uv[:, 0] * SIDE - 0.5, 0, SIDE - 1), np.clip((1 - uv[:, 1]) * SIDE - 0.5, 0, SIDE - 1)
    left, top = np.minimum(x.astype(int), SIDE - 2), np.minimum(y.astype(int), SIDE - 2)
    x, y = x - left, y - top
    up = MAPS[:, top, left] * (1 - x) + MAPS[:, top, left + 1] * x
    down = MAPS[:, top + 1, left] * (1 - x) + MAPS[:, top + 1, left + 1] * x
    return (up * (1 - y) + down * y).T


def expected_depth(smooth: Evaluated, tension: NDArray) -> NDArray:
    """(n,) by how much points are moved: of several corners with places of their own in the atlas, the mean."""
    maps, count = np.zeros((len(smooth.points), 3)), np.zeros(len(smooth.points))
    np.add.at(maps, smooth.corners, sampled(smooth.uv))
    np.add.at(count, smooth.corners, 1)
    base, stretch, compression = (maps / np.maximum(count, 1)[:, None]).T
    return base + stretch * np.maximum(tension, 0) + compression * np.maximum(-tension, 0)


def at_level_one(take: bpy.types.Collection, values: NDArray) -> NDArray:
    """Values (V,) of points, of edges' middles and of faces' middles, as one subdivision orders them."""
    mesh = take[HEAD].data
    edges = values[edges_of(mesh)].mean(axis=1)
    return np.concatenate([values, edges, [values[list(face.vertices)].mean() for face in mesh.polygons]])


@pytest.fixture
def take() -> bpy.types.Collection:
    """A take with wrinkles whose mouth opens from frame to frame."""
    return build.build_take(bpy.context, wrinkled("one", MAPS))


def edit(take: bpy.types.Collection, **values: float) -> None:
    """Give shape keys other values than their curves do."""
    keys = take[HEAD].data.shape_keys
    compat.assign_action(keys, None)
    for name, value in values.items():
        keys.key_blocks[name].value = value


def skin_of(take: bpy.types.Collection) -> NDArray:
    head = take[HEAD]
    slot = [s.material[materials.PART_KEY] for s in head.material_slots].index("skin")
    skin = np.zeros(len(head.data.vertices), bool)
    skin[[v for face in head.data.polygons if face.material_index == slot for v in face.vertices]] = True
    return skin


def test_an_edited_key_moves_points_as_the_definition_says(take: bpy.types.Collection) -> None:
    edit(take, browInnerUp=0.9, jawOpen=0.6)
    take[ARMATURE].pose.bones["jaw"].rotation_mode = "XYZ"
    take[ARMATURE].pose.bones["jaw"].rotation_euler = (0.1, 0, 0)
    tension = expected_tension(take, plain_points(take))
    assert tension.min() < -0.1 and tension.max() > 0.1
    wrinkles.set_value(take, wrinkles.LEVEL, 1)
    wrinkles.set_value(take, wrinkles.STRENGTH, 0.5)
    found = shown(take)
    count = len(tension)
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.TENSION][:count], tension, atol=2e-4)
    tension = at_level_one(take, tension)
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.TENSION], tension, atol=2e-4)
    wrinkles.set_value(take, wrinkles.STRENGTH, 1e-12)
    smooth = shown(take)
    assert len(smooth.points) > 3 * count
    moved = 0.5 * expected_depth(smooth, tension) * at_level_one(take, skin_of(take).astype(float))
    assert np.ptp(moved) > 5e-4
    np.testing.assert_allclose(found.points, smooth.points + moved[:, None] * smooth.normals, atol=3e-6)
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.DISPLACEMENT], moved, atol=3e-6)
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.SMOOTH], smooth.normals, atol=1e-5)


def test_the_neutral_has_the_base_alone(take: bpy.types.Collection) -> None:
    edit(take, **{key.name: 0.0 for key in take[HEAD].data.shape_keys.key_blocks[1:]})
    compat.assign_action(take[ARMATURE], None)
    for bone in take[ARMATURE].pose.bones:
        bone.matrix_basis.identity()
    wrinkles.set_value(take, wrinkles.LEVEL, 1)
    found = shown(take)
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.TENSION], 0, atol=1e-4)
    base = expected_depth(found, np.zeros(len(found.points))) * at_level_one(take, skin_of(take).astype(float))
    np.testing.assert_allclose(found.attributes[wrinkle_nodes.DISPLACEMENT], base, atol=2e-6)


def test_another_action_of_the_head_wrinkles_as_it_poses(take: bpy.types.Collection) -> None:
    keys = take[HEAD].data.shape_keys
    own = keys.animation_data.action
    other = compat.ActionWriter(keys, "another performance")
    path, sure = 'key_blocks["mouthPucker"].value', np.zeros(2, bool)
    other.curve(path, -1, "", np.array([1.0, 3.0]), np.array([0.0, 1.0]), sure)
    seen = {}
    for action in (other.action, own, other.action):
        compat.assign_action(keys, action)
        for frame in (1, 3):
            bpy.context.scene.frame_set(frame)
            found = shown(take).attributes[wrinkle_nodes.TENSION]
            np.testing.assert_allclose(found, expected_tension(take, plain_points(take)), atol=2e-4)
            seen[action.name, frame] = found
    assert np.abs(seen[other.action.name, 3] - seen[other.action.name, 1]).max() > 0.1
    assert np.abs(seen[own.name, 3] - seen[other.action.name, 3]).max() > 0.1


@pytest.mark.usefixtures("addon")
def test_strength_and_level_0_leave_the_mesh_as_it_is(take: bpy.types.Collection) -> None:
    bpy.context.scene.frame_set(3)
    plain = plain_points(take)
    assert (wrinkles.value_of(take, wrinkles.LEVEL), wrinkles.value_of(take, wrinkles.RENDER_LEVEL)) == (0, 2)
    at_zero = shown(take)
    np.testing.assert_array_equal(at_zero.points, plain)
    assert at_zero.attributes[wrinkle_nodes.AMOUNT].max() == 1, "the shading has them"
    setattr(take, take_properties.WRINKLE_LEVEL, 2)
    assert len(shown(take).points) > 10 * len(plain)
    setattr(take, take_properties.WRINKLE_STRENGTH, 0.0)
    without = shown(take)
    np.testing.assert_array_equal(without.points, plain)
    assert wrinkle_nodes.TENSION not in without.attributes


def test_a_new_shape_has_a_new_neutral(take: bpy.types.Collection) -> None:
    """Tracked again, the person is larger: his neutral is at rest as the one before was."""
    larger = wrinkled("one", MAPS)
    larger = replace(larger, head=replace(larger.head, neutral=larger.head.neutral * np.float32(1.1)))
    assert build.build_take(bpy.context, larger) == take
    edit(take, **{key.name: 0.0 for key in take[HEAD].data.shape_keys.key_blocks[1:]})
    compat.assign_action(take[ARMATURE], None)
    for bone in take[ARMATURE].pose.bones:
        bone.matrix_basis.identity()
    np.testing.assert_allclose(shown(take).attributes[wrinkle_nodes.TENSION], 0, atol=1e-4)


def image_on(take: bpy.types.Collection) -> bpy.types.Image | None:
    return wrinkles.image_on(take[HEAD])


def lowest(image: bpy.types.Image) -> list[float]:
    return list(image.pixels[:3])


def test_the_image_is_the_maps_in_metres_the_right_way_up_and_packed(take: bpy.types.Collection) -> None:
    image = image_on(take)
    assert image.packed_file is not None and image.is_float and image.colorspace_settings.name == "Non-Color"
    pixels = np.empty(4 * SIDE * SIDE, np.float32)
    image.pixels.foreach_get(pixels)
    np.testing.assert_array_equal(np.moveaxis(pixels.reshape(SIDE, SIDE, 4)[::-1, :, :3], 2, 0), MAPS)
    modifiers = [modifier.type for modifier in take[HEAD].modifiers]
    assert modifiers == ["ARMATURE", "NODES"]


def test_saved_and_opened_it_wrinkles_as_before(take: bpy.types.Collection, tmp_path: Path) -> None:
    wrinkles.set_value(take, wrinkles.LEVEL, 1)
    edit(take, browInnerUp=1.0)
    before = shown(take).points
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    opened = bpy.data.collections["one"]
    np.testing.assert_allclose(shown(opened).points, before, atol=1e-7)
    assert wrinkles.is_wrinkled(opened) and lowest(image_on(opened)) == list(MAPS[:, -1, 0])


@pytest.mark.usefixtures("addon")
def test_it_is_switched_off_and_on_and_undone(take: bpy.types.Collection) -> None:
    bpy.context.scene.frame_set(3)
    name = take.name
    bpy.ops.ed.undo_push(message="before")
    setattr(take, take_properties.WRINKLES, False)
    setattr(take, take_properties.WRINKLE_STRENGTH, 1.5)
    assert wrinkle_nodes.TENSION not in shown(take).attributes
    modifier = wrinkles.modifier_of(take[HEAD])
    assert not modifier.show_render
    bpy.ops.ed.undo_push(message="off")
    bpy.ops.ed.undo()
    take = bpy.data.collections[name]
    assert getattr(take, take_properties.WRINKLES) and getattr(take, take_properties.WRINKLE_STRENGTH) == 1
    assert shown(take).attributes[wrinkle_nodes.AMOUNT].max() == 1
    bpy.ops.ed.redo()
    assert not getattr(bpy.data.collections[name], take_properties.WRINKLES)


def test_each_version_has_the_wrinkles_of_its_run(take: bpy.types.Collection) -> None:
    first = lowest(image_on(take))
    build.build_take(bpy.context, wrinkled("one", OTHER))
    second = lowest(image_on(take))
    assert first != pytest.approx(second)
    build.build_take(bpy.context, open_take("one"))
    assert lowest(image_on(take)) == second, "a run without any leaves them"
    skin = wrinkle_bump.materials_of(take[HEAD])[0]
    for number, own in ((1, first), (3, second), (1, first)):
        versions.switch(bpy.context, take, number)
        assert lowest(image_on(take)) == own
        assert wrinkle_bump.picture_of(skin).image == image_on(take)
    assert len(bpy.data.images) == 2 and len([m for m in take[HEAD].modifiers if m.type == "NODES"]) == 1
    takes.delete_version(bpy.context, take, 1)
    assert [lowest(image) for image in bpy.data.images] == [second]
    takes.delete(take)
    assert not len(bpy.data.images)


def other_model(take: TakeResult) -> TakeResult:
    """The same person on a model of one triangle less."""
    head = take.head
    kept = np.arange(len(head.triangles)) != np.setdiff1d(np.arange(len(head.triangles)), head.quads)[0]
    number = np.cumsum(kept) - 1
    return replace(
        take,
        head=replace(
            head,
            head_id="another",
            triangles=head.triangles[kept],
            uv_triangles=head.uv_triangles[kept],
            triangle_part=head.triangle_part[kept],
            quads=number[head.quads].astype(np.int32),
        ),
    )


def test_on_another_models_atlas_there_are_none(take: bpy.types.Collection) -> None:
    head = take[HEAD]
    wrinkles.put_on(head, other_model(open_take("one")), str(take["flowface_take"]))
    assert image_on(take) is None and not wrinkles.is_wrinkled(take)
    versions.switch(bpy.context, take, 1)
    assert wrinkles.is_wrinkled(take), "they are back with the version that has them"
    wrinkles.for_version(head, None, "open")
    assert wrinkles.is_wrinkled(take)
    wrinkles.for_version(head, None, "another")
    assert not wrinkles.is_wrinkled(take)


def test_what_the_user_made_of_it_stays(take: bpy.types.Collection) -> None:
    head = take[HEAD]
    head.modifiers.remove(wrinkles.modifier_of(head))
    build.build_take(bpy.context, wrinkled("one", OTHER))
    assert wrinkles.modifier_of(head) is None
    plain = build.build_take(bpy.context, open_take("two"))
    tree = wrinkle_bump.materials_of(plain[HEAD])[0].node_tree
    normal = tree.nodes.new("ShaderNodeNormalMap")
    tree.links.new(normal.outputs[0], tree.nodes["Principled BSDF"].inputs["Normal"])
    build.build_take(bpy.context, wrinkled("two", OTHER))
    assert wrinkles.is_wrinkled(plain) and tree.nodes["Principled BSDF"].inputs["Normal"].links[0].from_node == normal
    own = bpy.data.images.new("painted by hand", 4, 4)
    wrinkles._set(plain[HEAD], wrinkle_nodes.IMAGE, own)
    build.build_take(bpy.context, wrinkled("two", MAPS))
    assert wrinkles._image(plain[HEAD]) == own


@pytest.mark.usefixtures("addon")
def test_another_take_of_the_person_wears_them_and_a_copy_has_them(take: bpy.types.Collection) -> None:
    plain = build.build_take(bpy.context, open_take("two"))
    assert wrinkles.sources(bpy.context.scene, plain) == [take] and not wrinkles.sources(bpy.context.scene, take)
    assert not wrinkles.is_wrinkled(plain)
    bpy.context.view_layer.objects.active = plain[HEAD]
    assert bpy.ops.flowface.use_wrinkles(source="one") == {"FINISHED"}
    assert image_on(plain) == image_on(take)
    edit(plain, browInnerUp=1.0)
    assert np.ptp(shown(plain).attributes[wrinkle_nodes.TENSION]) > 0.1
    twin = takes.duplicate(bpy.context.scene, take)
    assert image_on(twin) == image_on(take) and len({node.name for node in bpy.data.node_groups}) == 1
    build.build_take(bpy.context, wrinkled("one", OTHER))
    assert lowest(image_on(take)) != lowest(image_on(twin))


def test_a_version_beside_is_a_wire_without_them(take: bpy.types.Collection) -> None:
    build.build_take(bpy.context, wrinkled("one", OTHER))
    ghost.show(bpy.context, take, 1)
    assert wrinkles.modifier_of(take[ghost.HEAD]) is None and wrinkles.modifier_of(take[HEAD]) is not None
