"""The footage's sound in the sequencer: where the picture is, once, or a sentence that says why not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import bpy
import numpy as np
import pytest

from blender_addon.scene import build, retime, sound
from protocol import arrays

from ..takes import Shot, make_take, write_clip

pytestmark = pytest.mark.usefixtures("addon")
RATE = 44100


def with_sound(path: Path) -> Path:
    """Twelve pictures at 25 a second, and half a second of a tone."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=RATE)
        video.width, video.height, video.pix_fmt, audio.layout = 64, 48, "yuv420p", "mono"
        for _ in range(12):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")))
        container.mux(video.encode())
        tone = np.sin(np.arange(RATE // 2) / 16).astype(np.float32)
        for start in range(0, len(tone), 1024):
            block = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(audio.encode())
    return path


def strips() -> list[Any]:
    editor = bpy.context.scene.sequence_editor
    return list(editor.strips) if editor is not None else []


@pytest.mark.parametrize("first", [1, 5])
def test_sound_is_added_once_where_the_footage_starts_and_follows_the_take(tmp_path: Path, first: int) -> None:
    """A take of a part starts later than its footage, and so does its sound."""
    clip = with_sound(tmp_path / "clip.mp4")
    take = make_take(Shot(footage=str(clip)))
    collection = build.build_take(bpy.context, arrays.at_frames(take, np.arange(first - 1, 12)))
    assert bpy.ops.flowface.add_sound() == {"FINISHED"}
    (strip,) = strips()
    assert strip.type == "SOUND" and Path(strip.sound.filepath) == clip
    assert (sound.start_of(strip), strip.sound.channels) == (1, "MONO")
    assert bpy.ops.flowface.add_sound() == {"CANCELLED"}, "it is there"
    retime.retime(collection, start=40.0 + first)
    assert bpy.ops.flowface.add_sound() == {"FINISHED"}
    assert [sound.start_of(found) for found in strips()] == [41], "moved, not added again"
    assert len(bpy.data.sounds) == 1


def test_footage_without_sound_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "silent.mp4", 160, 96)
    collection = build.build_take(bpy.context, make_take(Shot(footage=str(clip))))
    with pytest.raises(sound.NoSound, match=r"^“silent\.mp4” has no sound$"):
        sound.add_sound(bpy.context.scene, collection)
    assert bpy.ops.flowface.add_sound() == {"CANCELLED"}
    assert not strips() and not len(bpy.data.sounds)


def test_sound_that_would_not_fit_the_picture_is_refused(tmp_path: Path) -> None:
    collection = build.build_take(bpy.context, make_take(Shot(footage=str(with_sound(tmp_path / "clip.mp4")))))
    scene = bpy.context.scene
    retime.retime(collection, speed=2.0)
    with pytest.raises(sound.NoSound, match="at 2 times the speed"):
        sound.add_sound(scene, collection)
    retime.retime(collection, speed=1.0)
    scene.render.fps = 24
    with pytest.raises(sound.NoSound, match="24 frames a second and the footage 25"):
        sound.add_sound(scene, collection)
    assert bpy.ops.flowface.take_match_scene() == {"FINISHED"}
    assert bpy.ops.flowface.add_sound() == {"FINISHED"}


def test_footage_that_is_gone_is_named() -> None:
    collection = build.build_take(bpy.context, make_take(Shot(footage="/nowhere/clip.mp4")))
    with pytest.raises(sound.NoSound, match=r"“clip\.mp4” cannot be read"):
        sound.add_sound(bpy.context.scene, collection)


def test_a_strip_of_the_users_own_counts_and_is_not_moved(tmp_path: Path) -> None:
    clip = with_sound(tmp_path / "clip.mp4")
    collection = build.build_take(bpy.context, make_take(Shot(footage=str(clip))))
    own = bpy.context.scene.sequence_editor_create().strips.new_sound("mine", str(clip), 1, 1)
    assert bpy.ops.flowface.add_sound() == {"CANCELLED"}
    retime.retime(collection, start=30.0)
    assert bpy.ops.flowface.add_sound() == {"FINISHED"}
    assert sound.start_of(own) == 1 and sorted((sound.start_of(s), s.channel) for s in strips()) == [(1, 1), (30, 2)]


def test_adding_sound_is_undone(tmp_path: Path) -> None:
    build.build_take(bpy.context, make_take(Shot(footage=str(with_sound(tmp_path / "clip.mp4")))))
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.flowface.add_sound() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="Add Sound")
    bpy.ops.ed.undo()
    assert not strips()
