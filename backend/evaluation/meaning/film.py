"""Films the character's performance: as clay, and painted in several lights and turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.evaluation.benchmark.scene import make_background, noise_tile
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.evaluation.benchmark.studio import faces_camera
from backend.evaluation.meaning.character import Character
from backend.evaluation.meaning.paint import clay, paint_character
from backend.files import write_npz
from backend.footage.encode import encode_evenly
from backend.head_model.render import DEFAULT_AMBIENT, DEFAULT_LIGHTS, HeadRenderer, Light, look_at_head

Image = NDArray[np.uint8]

SIDE = 512
FOCAL_PX = 1200.0
DISTANCE, TARGET = 0.75, (0.0, 0.005, 0.03)
"""Metres: the head is two thirds of the picture's height, its face half of it."""
EVERY = 2
"""Every second frame is filmed, as Apple's curves move slowly (24 per second)."""
NOISE = 2.0  # grey levels


@dataclass(frozen=True)
class Look:
    """How the character is filmed.

    ``person`` of the benchmark's dev people is painted on, None is clay. ``yaw`` and ``pitch`` in degrees are the
    camera's place about the head (see ``look_at_head``), ``swing`` how far the head turns to either side of it.
    """

    name: str
    person: int | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    swing: float = 0.0
    lights: tuple[Light, ...] = DEFAULT_LIGHTS
    ambient: tuple[float, float, float] = DEFAULT_AMBIENT


LOOKS = (
    Look("clay"),
    Look("front", person=1),
    Look(
        "side",
        person=4,
        yaw=30.0,
        lights=(Light((1.0, -0.4, -0.6), (0.95, 0.95, 1.0)), Light((-0.8, -0.2, -0.6), (0.15, 0.14, 0.13))),
        ambient=(0.30, 0.30, 0.33),
    ),
    Look(
        "turning",
        person=6,
        pitch=-8.0,
        swing=25.0,
        lights=(Light((-0.5, 0.5, -0.9), (0.75, 0.62, 0.48)), Light((0.7, -0.5, -0.5), (0.25, 0.27, 0.32))),
        ambient=(0.34, 0.30, 0.27),
    ),
)
"""As the issue's first measurement did it; then a light face, a dark one from the side, and one that turns."""

_SWING_SECONDS = 4.0


def filmed_frames(character: Character) -> NDArray[np.int64]:
    """The frames of the performance that are filmed."""
    return np.arange(0, len(character.weights), EVERY)


def film(
    character: Character, look: Look, ict_path: Path, clip: Path, on_frame: Callable[[int, int], None] | None = None
) -> None:
    """Write the performance as a video, and its true ``weights (T,52)`` beside it as ``<clip's name>.npz``.

    Raises UserError ``ict_missing``, ``no_opengl``, ``no_backgrounds`` and ``face_not_found``.
    """
    clip.parent.mkdir(parents=True, exist_ok=True)
    rate = character.frame_rate / EVERY
    part = clip.with_name(f".{clip.stem}.part{clip.suffix}")
    encode_evenly(part, _pictures(character, look, ict_path, on_frame), rate, repeatable=True)
    write_npz(truth_path(clip), {"weights": character.weights[filmed_frames(character)].astype(np.float32)})
    part.replace(clip)


def truth_path(clip: Path) -> Path:
    """Where the true weights of a filmed clip lie."""
    return clip.with_suffix(".npz")


def _pictures(
    character: Character, look: Look, ict_path: Path, on_frame: Callable[[int, int], None] | None
) -> Iterator[Image]:
    how: dict[str, Any] = {
        "focal_px": FOCAL_PX,
        "principal_point": (SIDE / 2, SIDE / 2),
        "lights": look.lights,
        "ambient": look.ambient,
    }
    noise = None
    if look.person is None:
        how["colors"] = clay(character)
    else:
        spec = SequenceSpec("dev", 20260, look.person, "extreme", 60)
        how["texture"], how["corner_uv"] = paint_character(character, load_ict_head(ict_path), spec)
        how["background"] = make_background(spec)
        noise = noise_tile(spec, NOISE)
    frames = filmed_frames(character)
    with HeadRenderer((SIDE, SIDE)) as renderer:
        for done, frame in enumerate(frames, start=1):
            swing = look.swing * np.sin(2 * np.pi * frame / character.frame_rate / _SWING_SECONDS)
            camera = look_at_head(DISTANCE, np.deg2rad(look.yaw + swing), np.deg2rad(look.pitch), TARGET)
            vertices = character.posed(int(frame)) @ camera[:, :3].T + camera[:, 3]
            drawn = None if look.person is None else faces_camera(vertices.astype(np.float32), character.triangles)
            picture = renderer.render(vertices, character.triangles, world_to_camera=np.eye(3, 4), drawn=drawn, **how)
            if noise is not None:
                top, left = 37 * done % SIDE, 101 * done % SIDE
                picture = np.clip(picture + noise[top : top + SIDE, left : left + SIDE], 0, 255).astype(np.uint8)
            yield picture
            if on_frame is not None:
                on_frame(done, len(frames))
