"""Exported files through Blender's importers: the head is where the take has it, seen through the exported camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from numpy.typing import NDArray

from backend.client.blender_exports import BLENDER_EXPORTS
from backend.export.blender import take_result
from backend.export.takes import ExportTake
from blender_addon import headless
from blender_addon.retarget.exchange import exporters
from protocol.messages import JobState, JobStatus, ResultReply
from tests.backend.export.made_takes import METRES, PIXELS, exported, in_world, made_take, seen

F64 = NDArray[np.float64]
RISING = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""The take's world to Blender's, in which z is up: (x, y, z) → (x, z, −y), written for rows."""


@pytest.fixture(scope="module")
def take() -> ExportTake:
    return made_take()


def in_blender(take: ExportTake) -> F64:
    """(T,V,3): the head as the take has it, in Blender's axes about the first camera's world."""
    return in_world(take) @ RISING


def points(obj: Any) -> F64:
    """(V,3): the vertices of a mesh object, as they are seen, in the world."""
    found = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    local = np.empty(len(found.data.vertices) * 3, np.float32)
    found.data.vertices.foreach_get("co", local)
    world = np.array(found.matrix_world)
    return np.asarray(local.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])


def only_mesh() -> Any:
    (mesh,) = (obj for obj in bpy.data.objects if obj.type == "MESH")
    return mesh


def obj_in(path: Path) -> None:
    bpy.ops.wm.obj_import(filepath=str(path))


def ply_in(path: Path) -> None:
    bpy.ops.wm.ply_import(filepath=str(path), forward_axis="NEGATIVE_Z", up_axis="Y")


def glb_in(path: Path) -> None:
    bpy.ops.import_scene.gltf(filepath=str(path), merge_vertices=False)


@pytest.mark.parametrize("read", [obj_in, ply_in, glb_in])
def test_blender_reads_a_frames_mesh(take: ExportTake, read: Callable[[Path], None], tmp_path: Path) -> None:
    format = read.__name__.removesuffix("_in")
    folder = exported(take, format, tmp_path / "out")
    read(folder / f"head_{take.track.frames[3]:06d}.{format}")
    mesh, count = only_mesh(), take.head.vertex_count
    np.testing.assert_allclose(points(mesh)[:count], in_blender(take)[3], atol=METRES, rtol=0)
    quads = 0 if format == "glb" else len(take.head.quads)
    assert sum(len(face.vertices) == 4 for face in mesh.data.polygons) == quads
    assert len(mesh.data.polygons) == len(take.head.triangles) - quads
    assert len(mesh.data.uv_layers) == 1
    face = max(mesh.data.polygons, key=lambda face: face.area)
    shaded = sum((mesh.data.corner_normals[corner].vector for corner in face.loop_indices), Vector())
    assert face.normal.dot(shaded.normalized()) > 0.7, "what is outside is outside"


def reply_of(take: ExportTake) -> ResultReply:
    """What Blender is given of a take, whose frames follow each other on the timeline."""
    steady = replace(take.track, scene_frames=np.arange(11.0, 15.0))
    result = take_result(steady, take.head, "made", {})
    return ResultReply(JobStatus("", "made", JobState.DONE), result)


@pytest.mark.parametrize("head", ["open", "flame"])
def test_alembic_holds_head_and_cameras_by_frame(head: str, tmp_path: Path) -> None:
    take = made_take(head)
    headless.export_head(reply_of(take), tmp_path / "take.abc", "ALEMBIC")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = 25
    scene.render.resolution_x, scene.render.resolution_y = take.track.cameras[0].image_size
    bpy.ops.wm.alembic_import(filepath=str(tmp_path / "take.abc"))
    assert (scene.frame_start, scene.frame_end) == (11, 14), "the times are the timeline's"
    mesh, count = only_mesh(), take.head.vertex_count
    cameras = [obj for obj in bpy.data.objects if obj.type == "CAMERA"]
    assert len(cameras) == 2
    for index, truth in enumerate(in_blender(take)):
        scene.frame_set(11 + index)
        found = points(mesh)[:count]
        np.testing.assert_allclose(found, truth, atol=METRES, rtol=0)
        for view, camera in enumerate(sorted(cameras, key=lambda obj: "front" not in obj.name)):
            if view and index:
                continue  # Blender's importer (4.5) has the lens of the first frame on all of them
            pixels = [world_to_camera_view(scene, camera, Vector(point)) for point in found[::97]]
            shown = np.array([(x * 640, (1 - y) * 480) for x, y, _ in pixels])
            assert np.abs(shown - seen(take, view)[index, ::97]).max() < PIXELS


def test_every_export_by_blender_has_a_writer_and_its_ending() -> None:
    for export in BLENDER_EXPORTS.values():
        assert export.info.suffix in exporters.format_of(export.format).suffixes


def test_a_result_without_a_take_is_one_sentence(tmp_path: Path) -> None:
    nothing = ResultReply(JobStatus("", "export", JobState.DONE))
    with pytest.raises(headless.CannotSave, match="has no take"):
        headless.export_head(nothing, tmp_path / "take.abc", "ALEMBIC")
    assert not (tmp_path / "take.abc").exists()
