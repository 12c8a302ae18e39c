"""The open head in Blender: quads, brows and lashes, a dark mouth, irises of their own, smooth with one subdivision."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

import blender_addon
from backend.export.blender import head_geometry
from backend.head_model.library import load_head
from blender_addon import iris
from blender_addon.scene import build, eyes, materials
from blender_addon.scene.head import OWN_VERTICES
from blender_addon.scene.ownership import HEAD
from blender_addon.scene.polygons import polygons_of
from protocol.take import TakeResult

from ..takes import Shot, make_take


def open_take(name: str = "take", iris_color: tuple[float, ...] = ()) -> TakeResult:
    """The mean person of the open head, whose mouth opens and whose eyes stay ahead."""
    head, take = load_head("open"), make_take(Shot(name=name, frame_count=3))
    expression = np.zeros((3, len(head.expression_names)), np.float32)
    expression[:, head.expression_names.index("jawOpen")] = (0, 0.5, 1)
    geometry = head_geometry(head, head.template)
    return replace(take, head=geometry, expression=expression, gaze=0 * take.gaze, iris_color=iris_color)


def built(take: TakeResult) -> bpy.types.Object:
    return build.build_take(bpy.context, take)[HEAD]


def faces_of(obj: bpy.types.Object, part: str) -> list[bpy.types.MeshPolygon]:
    slot = [s.material.get(materials.PART_KEY) for s in obj.material_slots].index(part)
    return [polygon for polygon in obj.data.polygons if polygon.material_index == slot]


def vector(collection: bpy.types.bpy_prop_collection, name: str, width: int) -> NDArray:
    out = np.empty(len(collection) * width, np.float32)
    collection.foreach_get(name, out)
    return out.reshape(-1, width)


def test_the_mesh_is_the_sources_quads_with_its_seams() -> None:
    take = open_take()
    mesh = built(take).data
    sizes = Counter(polygon.loop_total for polygon in mesh.polygons)
    assert sizes == {4: len(take.head.quads), 3: len(take.head.triangles) - 2 * len(take.head.quads)}
    assert sizes[4] > 35 * sizes[3]
    kept = np.ones(len(take.head.triangles), bool)
    kept[take.head.quads[:, 1]] = False
    uv = vector(mesh.uv_layers[0].uv, "vector", 2)
    for polygon, first in list(zip(mesh.polygons, np.flatnonzero(kept), strict=True))[::37]:
        corner = {v: uv[loop] for v, loop in zip(polygon.vertices, polygon.loop_indices, strict=True)}
        for vertex, atlas in zip(take.head.triangles[first], take.head.uv_triangles[first], strict=True):
            assert np.allclose(corner[vertex], take.head.uv_vertices[atlas])
    edges = Counter(tuple(sorted(key)) for polygon in mesh.polygons for key in polygon.edge_keys)
    assert max(edges.values()) == 2, "no edge has three faces"
    assert len(mesh.edges) == len(edges)


def test_quads_turn_the_way_their_halves_do() -> None:
    head = open_take().head
    polygons = polygons_of(head)
    whole = np.flatnonzero(np.diff(polygons.start) == 4)
    corners = head.neutral[polygons.vertex[polygons.start[whole][:, None] + np.arange(4)]].astype(np.float64)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    kept = np.ones(len(head.triangles), bool)
    kept[head.quads[:, 1]] = False
    halves = head.neutral[head.triangles[kept][whole]].astype(np.float64)
    first = np.cross(halves[:, 1] - halves[:, 0], halves[:, 2] - halves[:, 0])
    assert ((normal * first).sum(axis=1) > 0).mean() > 0.995
    assert np.array_equal(np.bincount(polygons.of_corner), np.diff(polygons.start, append=len(polygons.vertex)))


def test_pairs_that_share_no_edge_stay_triangles() -> None:
    head = make_take(Shot()).head
    apart = replace(head, quads=np.array([[0, len(head.triangles) - 1]], np.int32))
    corners = np.diff(polygons_of(apart).start, append=len(polygons_of(apart).vertex))
    assert (corners == 3).all() and len(corners) == len(head.triangles)


def turns(mesh: bpy.types.Mesh) -> NDArray:
    """The angles in degrees between neighbouring faces of skin on brow, scalp and cheeks, away from folds."""
    normals = vector(mesh.polygons, "normal", 3)
    middles = vector(mesh.polygons, "center", 3)
    skin = np.array([p.material_index == 0 for p in mesh.polygons])
    far = skin & (middles[:, 2] > 0.03)
    by_edge: dict[tuple[int, int], list[int]] = {}
    for index in np.flatnonzero(far):
        for key in mesh.polygons[int(index)].edge_keys:
            by_edge.setdefault(tuple(sorted(key)), []).append(int(index))
    pairs = np.array([faces for faces in by_edge.values() if len(faces) == 2])
    return np.degrees(np.arccos(np.clip((normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1), -1, 1)))


def test_one_subdivision_is_smooth_and_leaves_no_crack() -> None:
    obj = built(open_take())
    coarse = turns(obj.data)
    border = Counter(key for polygon in obj.data.polygons for key in polygon.edge_keys)
    open_edges = sum(count == 1 for count in border.values())
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 1
    fine = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    after = Counter(key for polygon in fine.polygons for key in polygon.edge_keys)
    assert sum(count == 1 for count in after.values()) == 2 * open_edges, "no border but those there were"
    smooth = turns(fine)
    assert np.quantile(smooth, 0.99) < 0.62 * np.quantile(coarse, 0.99)
    own = obj.data[OWN_VERTICES][0]
    before, now = (vector(mesh.vertices, "co", 3)[:own] for mesh in (obj.data, fine))
    assert not any(modifier.type == "SUBSURF" for modifier in built(open_take("other")).modifiers), (
        "FBX drops shape keys"
    )
    skin = load_head("open").regions["face"]
    assert np.quantile(np.linalg.norm(now - before, axis=1)[skin] * 1000, 0.99) < 1.0, "and it is still this person"


def test_the_mouth_is_dark_inside_and_lips_are_coloured() -> None:
    head, obj = load_head("open"), built(open_take())
    light = vector(obj.data.attributes[materials.LIGHT].data, "value", 1).ravel()
    lips = vector(obj.data.attributes[materials.LIPS].data, "value", 1).ravel()
    own = obj.data[OWN_VERTICES][0]
    assert own == head.vertex_count
    assert light[:own][head.regions["mouth_bag"]].mean() < 0.4 and (light[:own][head.regions["face"]] == 1).all()
    assert lips[:own][head.regions["lips"]].mean() > 0.6
    for part in ("skin", "teeth", "tongue", "gums", "mouth"):
        (polygon, *_) = faces_of(obj, part)
        material = obj.material_slots[polygon.material_index].material
        shader = material.node_tree.nodes["Principled BSDF"]
        names = {node.attribute_name for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeAttribute"}
        assert shader.inputs["Base Color"].is_linked and names == {materials.LIGHT} | (
            {materials.LIPS} if part == "skin" else set()
        )
        colour = (0.3, 0.2, 0.1)
        materials.set_colour(material, colour)
        assert materials.colour_of(material) == pytest.approx(colour)


def test_iris_and_pupil_are_whole_rings() -> None:
    """No half of a ring of faces is left out: each eye has as many faces of iris as of a circle's segments."""
    obj = built(open_take())
    for part, rings in (("pupil", 2), ("iris", None)):
        for side in (1, -1):
            faces = [polygon for polygon in faces_of(obj, part) if polygon.center[0] * side > 0]
            assert len(faces) % 24 == 0 and len(faces) == 24 * (rings or len(faces) // 24) > 0
    person = load_head("open").neutral(np.random.default_rng(4).normal(size=100))
    take = open_take("another")
    other = replace(take, head=head_geometry(load_head("open"), person))
    assert eyes.parts_with_irises(other.head, polygons_of(other.head))[1].max() == len(take.head.part_names) + 1
    assert all(len(faces_of(built(other), part)) % 24 == 0 for part in ("pupil", "iris"))


def test_irises_have_the_colour_of_the_footage_until_the_user_sets_one() -> None:
    brown, blue = (0.42, 0.28, 0.16), (0.35, 0.48, 0.62)
    one = materials.iris_of(built(open_take("one", brown)))
    assert materials.colour_of(one) == pytest.approx([c**2.2 for c in brown], abs=0.02)
    two = materials.iris_of(built(open_take("two", blue)))
    assert two != one and materials.colour_of(one)[0] > materials.colour_of(one)[2]
    nobodys = materials.iris_of(built(open_take("three")))
    assert nobodys not in (one, two, materials.iris_of(built(open_take("four"))))
    assert materials.iris_of(built(open_take("one", blue))) == one
    assert materials.colour_of(one) == pytest.approx(materials.colour_of(two)), "tracked again, read again"
    materials.set_colour(one, (0.1, 0.2, 0.1))
    assert materials.iris_of(built(open_take("one", brown))) == one
    assert materials.colour_of(one) == pytest.approx((0.1, 0.2, 0.1)), "the user's own stays"
    assert tuple(one.diffuse_color)[:3] == pytest.approx((0.1, 0.2, 0.1)), "in solid shading, too"


def test_the_panels_colour_is_the_materials() -> None:
    blender_addon.register()
    try:
        material = materials.iris_of(built(open_take("one", (0.42, 0.28, 0.16))))
        assert tuple(getattr(material, iris.NAME)) == pytest.approx(materials.colour_of(material))
        setattr(material, iris.NAME, (0.05, 0.3, 0.1))
        shader = material.node_tree.nodes["Principled BSDF"]
        assert tuple(shader.inputs["Base Color"].default_value)[:3] == pytest.approx((0.05, 0.3, 0.1))
    finally:
        blender_addon.unregister()
    assert not hasattr(bpy.types.Material, iris.NAME)


def test_an_older_backends_head_is_built_of_triangles() -> None:
    take = make_take(Shot())
    mesh = built(take).data
    assert {polygon.loop_total for polygon in mesh.polygons} == {3}
    assert list(mesh[OWN_VERTICES]) == [len(take.head.neutral)] * 2
