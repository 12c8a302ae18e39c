"""Points of a built head, found under a pixel and seen there again: whatever the take's place, lens and timing."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.scene import build, retime, surface
from blender_addon.scene.footage_frames import footage_frames
from blender_addon.scene.ownership import HEAD, ROOT, camera_role
from blender_addon.scene.picture_lines import Eye, eye_of
from blender_addon.scene.projected import projected

from ..takes import Shot, make_take, project, write_clip

SHOTS = {
    "landscape": Shot(),
    "off-centre principal point, portrait": Shot(size=(360, 640), principal_point=(150.0, 350.0)),
    "moving, zooming camera": Shot(moving_camera=True, zoom=True),
}


def seen(collection: bpy.types.Collection, size: tuple[int, int]) -> tuple[Eye, surface.Surface]:
    graph = bpy.context.evaluated_depsgraph_get()
    return eye_of(collection[camera_role("camera")], size, graph), surface.surface_of(collection[HEAD], graph)


@pytest.mark.parametrize("moved", [False, True], ids=["as built", "moved, turned and scaled"])
@pytest.mark.parametrize("shot", SHOTS.values(), ids=SHOTS)
def test_a_pixel_is_seen_again_where_the_take_has_it(shot: Shot, moved: bool) -> None:
    """Through the built scene to a triangle; from there by the take's own formula, with nothing of the add-on in it."""
    take = make_take(shot)
    collection = build.build_take(bpy.context, take)
    if moved:
        root = collection[ROOT]
        root.location, root.rotation_euler, root.scale = (3, -2, 0.5), (0.4, 0.1, 2.0), (2.5,) * 3
    bpy.context.scene.frame_set(int(take.scene_frames[7]))
    eye, head = seen(collection, shot.size)
    corners = project(take, 7)
    middle = corners.mean(axis=0)
    for pixel in middle + np.random.default_rng(1).uniform(-0.25, 0.25, (20, 2)) * np.ptp(corners, axis=0):
        found = head.under(eye, tuple(pixel))
        assert found is not None
        assert np.abs(eye.pixels(head.at([found]))[0] - pixel).max() < 0.01
        triangle = take.head.triangles[found.triangle]
        nodes = np.array(found.barycentric)
        assert np.abs(corners[triangle].T @ nodes - pixel).max() < 1.0, "it is that triangle of the head that came"
    assert head.under(eye, (1.0, 1.0)) is None


def test_of_two_triangles_the_nearer_one_is_hit() -> None:
    """A pixel on an eye is on the eyeball, which is before the skin, and one between is on the skin's front."""
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    bpy.context.scene.frame_set(1)
    eye, head = seen(collection, (640, 360))
    eyeballs = take.head.triangle_part == 1
    front = head.vertices[take.head.triangles[eyeballs]].mean(axis=1)
    pixel = eye.pixels(front[[eye.depths(front).argmin()]])[0]
    assert eyeballs[head.under(eye, tuple(pixel)).triangle]


def test_a_viewport_shows_the_same_picture() -> None:
    """By the camera matrix with which Blender itself renders a picture of another size."""
    take = make_take(Shot(principal_point=(290.0, 220.0)))
    collection = build.build_take(bpy.context, take)
    bpy.context.scene.frame_set(4)
    graph = bpy.context.evaluated_depsgraph_get()
    camera = collection[camera_role("camera")].evaluated_get(graph)
    eye = eye_of(camera.original, (640, 360), graph)
    matrix = camera.calc_matrix_camera(graph, x=1280, y=720) @ camera.matrix_world.normalized().inverted()
    shown = projected(eye, (640, 360), matrix, 1280, 720)
    pixels = np.array([(0.0, 0.0), (640.0, 360.0), (100.0, 40.0)])
    expected = np.array([(0.0, 720.0), (1280.0, 0.0), (200.0, 640.0)])
    assert np.abs(shown.to_region(pixels) - expected).max() < 0.01
    assert np.abs(shown.to_pixels(expected) - pixels).max() < 0.01


def test_a_modifier_that_makes_other_vertices_changes_nothing() -> None:
    """Ctrl+1 smooths what is shown; the surface that is pinned stays that of the fit."""
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    bpy.context.scene.frame_set(8)
    plain = seen(collection, (640, 360))[1]
    points = [surface.SurfacePoint(40, (0.2, 0.3, 0.5)), surface.SurfacePoint(250, (1.0, 0.0, 0.0))]
    collection[HEAD].modifiers.new("smooth", "SUBSURF")
    graph = bpy.context.evaluated_depsgraph_get()
    smooth = surface.surface_of(collection[HEAD], graph)
    assert np.abs(smooth.vertices - plain.vertices).max() < 1e-6
    for places in (surface.places_of(collection[HEAD], graph, points), smooth.at(points)):
        assert np.abs(places - plain.at(points)).max() < 1e-6


def test_what_cannot_be_pinned_says_why() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    head = collection[HEAD]
    head.hide_set(True)
    with pytest.raises(surface.NoSurface, match="hidden: show it first"):
        seen(collection, (640, 360))
    head.hide_set(False)
    del head.data["flowface_triangles"]
    with pytest.raises(surface.NoSurface, match="build it again from the list of jobs"):
        seen(collection, (640, 360))


@pytest.mark.parametrize("fractional", [False, True])
def test_frames_are_counted_as_the_footage_does_wherever_the_take_plays(tmp_path, fractional: bool) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 320, 180)
    take = make_take(Shot(footage=str(clip), size=(320, 180), fractional=fractional))
    numbers = np.arange(1, 13)
    take.cameras[0].footage_frames[:] = numbers
    collection = build.build_take(bpy.context, take)
    plain = footage_frames(collection)
    shown = [plain.number_at(frame) for frame in range(1, 13)]
    assert shown == list(numbers) if not fractional else set(shown) <= set(numbers)
    retime.retime(collection, start=101.0, speed=0.5)
    slow = footage_frames(collection)
    assert slow.number_at(100) is None
    for number in (1, 5, 12):
        frame = plain.frame_of(number)
        assert slow.frame_of(number) == 101 + 2 * (frame - 1)
        assert slow.number_at(slow.frame_of(number)) == plain.number_at(frame)
