"""The preview shows what plays elsewhere, as it plays there, and leaves nothing behind; a playblast is a film of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import bpy
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import compat
from blender_addon.retarget import drive, properties, source
from blender_addon.retarget.mapping import EyeLink, Mapping
from blender_addon.retarget.preview import in_step, playblast, side_by_side
from blender_addon.retarget.preview import parts as preview_parts
from blender_addon.scene import retime
from tests.blender.retarget import characters, rigs
from tests.blender.retarget.followers import add, plain

pytestmark = pytest.mark.usefixtures("addon")

COUNT = 24
OPEN = 13
"""The frame at which the jaw is farthest down."""


def stage(data: Path, folder: Path | None = None) -> tuple[Any, Any]:
    """The head object of a take that opens its mouth, and turns, and the facecap head that follows it live."""
    wave = np.sin(np.linspace(0, np.pi, COUNT)).astype(np.float32)
    footage = write_clip(folder / "clip.mp4") if folder is not None else "/nowhere/clip.mp4"
    curves = {"jawOpen": wave, "mouthSmileLeft": wave[::-1] * 0.5, "eyeBlinkLeft": wave}
    head = characters.performer(curves, rate=25.0, footage=footage, turns=np.linspace(-0.5, 0.5, COUNT))
    character = characters.facecap(data)
    drive.go_live(add(character, head, plain()))
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end = 25, 1.0, 1, COUNT
    bpy.context.view_layer.update()
    return head, character


def grey(frame: int) -> int:
    """Of all pixels of the clip's picture on a frame, 0…255."""
    return 40 + 8 * (frame - 1)


def write_clip(path: Path) -> str:
    """A clip of 640 × 360 pixels, 25 pictures a second, each of its own grey, with a tone of 440 Hz."""
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("h264", rate=25), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        for frame in range(1, COUNT + 1):
            picture = np.full((360, 640, 3), grey(frame), np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000 * COUNT // 25) / 48000)
        sound = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48000
        out.mux(audio.encode(sound))
        for stream in (video, audio):
            out.mux(stream.encode())
    return str(path)


def points(obj: Any, scene: Any, frame: int) -> NDArray[np.float64]:
    """The vertices of an object as evaluated on a frame of a scene, in its world."""
    scene.frame_set(frame)
    graph = scene.view_layers[0].depsgraph
    shown = obj.evaluated_get(graph)
    mesh = shown.data
    out = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", out)
    world = np.array(shown.matrix_world)
    return out.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]


def shown(preview: Any, name: str) -> Any:
    """The object in a preview that shows a character, uncut, so that its vertices keep their order."""
    found = next(obj for obj in preview.objects if obj.name.startswith(name) and len(obj.modifiers))
    for node in found.modifiers[0].node_group.nodes:
        node.mute = node.mute or node.type == "DELETE_GEOMETRY"
    return found


def blocks() -> dict[str, list[str]]:
    """The names of all data-blocks of the file."""
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)]
    kinds = [name for name in kinds if name != "all_ids"]  # Blender 5.2 has all of them once more
    return {kind: [block.name for block in getattr(bpy.data, kind)] for kind in kinds}


def distances(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between some of the points, in parts of the largest: the same of an object and of a picture of it."""
    apart = np.linalg.norm(found[::20, None] - found[None, ::20], axis=2)
    return apart / apart.max()


def face_of(all_points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Of the joined meshes of a character those of the largest, which is the first or the last of them."""
    ends = (all_points[:count], all_points[-count:])
    return max(ends, key=lambda part: float(np.ptp(part, axis=0).max()))


def test_it_plays_what_the_character_plays_edits_included(shared_data: Path) -> None:
    head, character = stage(shared_data)
    scene, count = bpy.context.scene, len(character.data.vertices)
    preview = side_by_side.show(scene)
    assert [obj.data.body for obj in preview.objects if obj.type == "FONT"] == ["actor", character.name]
    twin = shown(preview, character.name)

    def differs() -> float:
        """By how much the preview is off what the character plays where its jaw is farthest down."""
        there = face_of(points(twin, preview, OPEN), count)
        return float(np.abs(distances(there) - distances(points(character, scene, OPEN))).max())

    rest, wide = (distances(points(character, scene, frame)) for frame in (1, OPEN))
    assert np.abs(wide - rest).max() > 0.02
    assert differs() < 1e-4
    place = source.places(head)["jawOpen"]
    curve = next(curve for curve in compat.action_curves(place.owner) if curve.data_path == place.path)
    for point in curve.keyframe_points:
        point.co.y *= 0.3
    curve.update()
    assert np.abs(distances(points(character, scene, OPEN)) - wide).max() > 0.01
    assert differs() < 1e-4


def test_it_leaves_nothing_behind_and_changes_nothing(shared_data: Path, tmp_path: Path) -> None:
    stage(shared_data, tmp_path)
    scene = bpy.context.scene
    before, frame = blocks(), scene.frame_current
    preview = side_by_side.show(scene)
    first = {kind: len(names) for kind, names in blocks().items()}
    mine = bpy.data.objects.new("the user's", None)
    preview.collection.objects.link(mine)
    assert side_by_side.show(scene) == preview
    assert {kind: len(names) - (kind == "objects") for kind, names in blocks().items()} == first
    assert [o.name for o in scene.objects if preview_parts.MADE in o] == []
    side_by_side.remove(preview)
    assert {other.name for other in bpy.data.scenes} == {"Scene", "actor Preview"}  # with what the user put there
    bpy.data.objects.remove(mine)
    bpy.data.scenes.remove(preview)
    assert (blocks(), scene.frame_current) == (before, frame)


def test_faces_are_alike_in_size_and_place_and_turn_only_where_wanted(shared_data: Path) -> None:
    head, character = stage(shared_data)
    scene = bpy.context.scene
    keys = {
        head: ("eyeBlinkLeft", "eyeBlinkRight", "mouthFunnel"),
        character: ("eyeBlink_L", "eyeBlink_R", "mouthFunnel"),
    }

    def eyes_and_mouth(preview: Any, obj: Any, frame: int) -> NDArray[np.float64]:
        """Left eye, right eye and mouth (3,3) of an object in the preview."""
        name = "actor" if obj == head else obj.name
        found = face_of(points(shown(preview, name), preview, frame), len(obj.data.vertices))
        return np.stack([found[moved(obj.data.shape_keys.key_blocks, key)].mean(axis=0) for key in keys[obj]])

    preview = side_by_side.show(scene, still=True)
    for number, obj in enumerate(keys):
        left, right, mouth = eyes_and_mouth(preview, obj, 1)
        eyes = (left + right) / 2
        assert abs(eyes[0] - number * preview_parts.WIDTH) < 0.02 and left[0] > right[0]
        assert (eyes - mouth)[2] * preview_parts.FACES_HIGH == pytest.approx(1, abs=0.06)
        assert abs(((eyes + mouth) / 2)[2]) < 0.02
    still = [eyes_and_mouth(preview, head, frame) for frame in (1, COUNT)]
    assert np.abs(still[0] - still[1]).max() < 0.01
    preview = side_by_side.show(scene, still=False)
    first, last = (eyes_and_mouth(preview, head, frame)[:, 1] for frame in (1, COUNT))  # how far back
    assert first[0] - first[1] == pytest.approx(last[1] - last[0], abs=0.02)  # turned as far to the one as to the other
    assert abs(first[0] - first[1]) > 0.08


def moved(key_blocks: Any, name: str) -> NDArray[np.int64]:
    """The vertices that a shape key moves by more than half of the farthest."""
    places = []
    for block in (key_blocks[0], key_blocks[name]):
        out = np.empty(3 * len(block.data), np.float32)
        block.data.foreach_get("co", out)
        places.append(out.reshape(-1, 3))
    far = np.linalg.norm(places[1] - places[0], axis=1)
    return np.flatnonzero(far > far.max() / 2)


def test_a_playblast_has_the_frames_the_sound_and_the_performance(shared_data: Path, tmp_path: Path) -> None:
    stage(shared_data, tmp_path)
    scene = bpy.context.scene
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, OPEN - 9, OPEN
    getattr(scene, properties.NAME).playblast_height = "360"
    settings = (scene.render.engine, scene.render.filepath, scene.render.resolution_x, scene.frame_end)
    film = tmp_path / "{shot} ##" / "{take} ### %02d.mp4"  # variables, frames and formats to Blender
    film.parent.mkdir()
    assert bpy.ops.flowface.retarget_playblast(filepath=str(film)) == {"FINISHED"}
    assert settings == (scene.render.engine, scene.render.filepath, scene.render.resolution_x, scene.frame_end)
    assert [other.name for other in bpy.data.scenes] == ["Scene"]
    assert list(film.parent.iterdir()) == [film]
    with av.open(str(film)) as opened:
        pictures = [frame.to_ndarray(format="rgb24") for frame in opened.decode(opened.streams.video[0])]
        rate = opened.streams.video[0].average_rate
    with av.open(str(film)) as opened:
        loud = np.concatenate([frame.to_ndarray().ravel() for frame in opened.decode(opened.streams.audio[0])])
    assert (len(pictures), rate) == (10, 25)
    assert np.abs(loud).max() > 0.01
    height, width = pictures[0].shape[:2]
    assert (height % 2, width % 2) == (0, 0) and abs(height / width - 1.09 / 2.4) < 0.01
    cells = np.stack(pictures)[:, : round(height / 1.09)].astype(np.float64)
    footage, actor, character = np.split(cells[:, :, : width // 3 * 3], 3, axis=2)
    for cell in (actor, character):
        tall, wide = cell.shape[1:3]
        mouth = cell[:, int(0.58 * tall) : int(0.72 * tall), int(0.42 * wide) : int(0.58 * wide)]
        dark = [float((picture.max(axis=2) < 70).mean()) for picture in (mouth[0], mouth[-1])]
        assert dark[1] > dark[0] + 0.06  # an open mouth is dark within
        assert np.abs(mouth[-1] - mouth[0]).max() > 60
    middle = footage[:, footage.shape[1] // 2, footage.shape[2] // 2].mean(axis=1)
    assert np.abs(middle - [grey(frame) for frame in range(OPEN - 9, OPEN + 1)]).max() < 6  # in step


def test_footage_at_another_speed_stays_in_step(shared_data: Path, tmp_path: Path) -> None:
    head, _ = stage(shared_data, tmp_path)
    retime.retime(source.take_of(head), start=11, speed=2.0)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 11, 22
    preview = side_by_side.show(scene)
    assert not side_by_side.has_sound(preview)
    side_by_side.set_height(preview, 100)
    preview.frame_start, preview.frame_end, preview.render.filepath = 14, 15, f"{tmp_path}/"
    bpy.ops.render.render(animation=True, scene=preview.name)
    for frame in (14, 15):
        picture = cv2.imread(str(tmp_path / f"{frame:04d}.png"))
        shown_grey = picture[50, picture.shape[1] // 6].mean()
        assert shown_grey == pytest.approx(grey(1 + 2 * (frame - 11)), abs=7)


def test_a_film_that_cannot_be_written_leaves_nothing(shared_data: Path, tmp_path: Path) -> None:
    stage(shared_data)
    with pytest.raises(OSError):
        playblast.prepare(side_by_side.show(bpy.context.scene), tmp_path / "nothing" / "film.mp4", 360, passing=True)
    assert bpy.ops.flowface.retarget_preview_close() == {"FINISHED"}
    for name in ("nothing/film.mp4", f"{'n' * 300}.mp4"):
        assert bpy.ops.flowface.retarget_playblast(filepath=str(tmp_path / name)) == {"CANCELLED"}
    assert not list(tmp_path.iterdir())
    assert [other.name for other in bpy.data.scenes] == ["Scene"]


def test_the_preview_opens_and_closes_at_the_same_frame(shared_data: Path) -> None:
    stage(shared_data)
    scene = bpy.context.scene
    scene.frame_set(5)
    assert bpy.ops.flowface.retarget_preview() == {"FINISHED"}
    preview = bpy.context.window.scene
    assert side_by_side.shown_scene(preview) == scene and preview.frame_current == 5
    assert json.loads(preview.get("flowface_preview_views", "[]"))
    for moved_scene, frame in ((scene, 7), (preview, 12), (scene, 5)):  # as if both were seen in windows
        moved_scene.frame_set(frame)
        in_step.keep(scene, preview)
        assert (scene.frame_current, preview.frame_current) == (frame, frame)
    assert in_step.tick() == in_step.SELDOM
    preview.frame_set(9)
    assert bpy.ops.flowface.retarget_preview() == {"FINISHED"}  # made anew, from within
    assert bpy.context.window.scene == preview and preview.frame_current == 9
    assert bpy.ops.flowface.retarget_preview_close() == {"FINISHED"}
    assert bpy.context.window.scene == scene and scene.frame_current == 9
    assert len(bpy.data.scenes) == 1


def test_a_character_of_bones_is_seen_from_its_front_however_it_stands() -> None:
    """Askew bones, twice the size, turned aside, its head nodding; it is shown as it is at rest, and where it nods."""
    rig = rigs.head_rig()
    verts = np.array([(x, y, z) for x in (-0.1, 0.1) for y in (-0.25, 0.05) for z in (1.2, 1.5)], np.float32)
    mesh = bpy.data.meshes.new("block")
    mesh.from_pydata(verts.tolist(), [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6)])
    block = bpy.data.objects.new("block", mesh)
    bpy.context.scene.collection.objects.link(block)
    block.vertex_groups.new(name="head").add(range(8), 1.0, "REPLACE")
    block.parent = rig
    block.modifiers.new("rig", "ARMATURE").object = rig
    rig.scale, rig.rotation_euler = (2.0, 2.0, 2.0), (0.0, 0.0, 1.2)
    eyes = (EyeLink("left", "eye.L"), EyeLink("right", "eye.R"))
    add(rig, characters.performer({"jawOpen": np.zeros(4)}), Mapping(eyes=eyes))
    bpy.context.view_layer.update()
    scene = bpy.context.scene

    def sides(still: bool, frame: int) -> NDArray[np.float64]:
        """From its middle, in parts of its width."""
        preview = side_by_side.show(scene, still=still)
        found = points(shown(preview, "rig"), preview, frame)
        return (found - found.mean(axis=0)) / (found[4, 0] - found[0, 0])

    wanted = (verts - verts.mean(axis=0)) / 0.2
    assert np.abs(sides(True, 1) - wanted).max() < 1e-3
    rig.pose.bones["head"].rotation_mode = "XYZ"
    rig.pose.bones["head"].rotation_euler.x = 0.5
    assert np.abs(sides(True, 1) - wanted).max() < 1e-3
    assert np.abs(sides(False, 1) - wanted).max() > 0.2
