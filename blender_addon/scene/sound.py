"""The sound of a take's footage, as a strip of the scene's sequencer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import compat
from . import build, footage, timing
from . import ownership as replace

FIRST_PICTURE = 1.0
"""The number of a video's first picture, where its sound begins, as footage is counted."""
STRIP_KEY = "flowface_take"
"""Of a sound strip: the identity of the take that it was added for."""
SAME_RATE = 0.001
HIGHEST_CHANNEL = 128
"""The last channel that Blender's sequencer has."""


class NoSound(Exception):  # noqa: N818 - its text is a sentence for the user
    """The sound cannot be added; the message says why."""


def add_sound(scene: Any, take: Any) -> Any | None:
    """Add the sound of a take's main footage to the scene's sequencer, where the footage starts.

    The strip that was added before is moved there instead. None where the sound is there already, whoever added it.
    Raises ``NoSound`` where there is none, or it would not fit the picture.
    """
    path, start = _footage_of(take), _start(scene, take)
    editor = scene.sequence_editor_create()
    strips = compat.strips_of(editor)
    same = [strip for strip in strips if strip.type == "SOUND" and _is_of(strip, path)]
    if any(round(start_of(strip)) == start for strip in same):
        return None
    own = next((strip for strip in same if strip.get(STRIP_KEY) == take[replace.TAKE_KEY]), None)
    if own is not None:
        setattr(own, compat.strip_start(own), start)
        return own
    if not _has_sound(path):
        raise NoSound(f"“{path.name}” has no sound")
    channel = min(1 + max((strip.channel for strip in strips), default=0), HIGHEST_CHANNEL)
    strip = strips.new_sound(f"{take.name} sound", str(path), channel, start)
    strip[STRIP_KEY] = take[replace.TAKE_KEY]
    return strip


def start_of(strip: Any) -> float:
    """The frame of the scene on which a strip's content starts."""
    return float(getattr(strip, compat.strip_start(strip)))


def _start(scene: Any, take: Any) -> int:
    now = timing.timing_of(take)
    if now.speed != 1.0:
        raise NoSound(f"The take plays at {now.speed:g} times the speed of its footage, whose sound fits 1 only")
    rate, footage_rate = scene.render.fps / scene.render.fps_base, take.get(replace.RATE_KEY)
    if footage_rate is not None and abs(rate / footage_rate - 1) > SAME_RATE:
        raise NoSound(
            f"The scene plays {rate:.5g} frames a second and the footage {footage_rate:.5g}, so that its sound would "
            "leave the picture: press Match Scene first"
        )
    return round(now.at(FIRST_PICTURE))


def _footage_of(take: Any) -> Path:
    """The file of the main view: the one behind its camera, which may have been moved, or the one that was tracked."""
    camera, named = build.main_camera(take), str(take[replace.TAKE_KEY]).split("\n", 1)[-1]
    files = [Path(named)]
    for picture in footage.pictures_of([camera] if camera is not None else []):
        if footage.NUMBERS not in picture:  # a proxy has no sound
            files.insert(0, Path(bpy.path.abspath(picture.filepath)))
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise NoSound(f"The footage “{Path(named).name}” cannot be read from here")
    return found


def _is_of(strip: Any, path: Path) -> bool:
    return strip.sound is not None and Path(bpy.path.abspath(strip.sound.filepath)) == path


def _has_sound(path: Path) -> bool:
    sound = bpy.data.sounds.load(str(path))
    found = sound.samplerate > 0
    bpy.data.sounds.remove(sound)
    return bool(found)
