"""Everything around the head, drawn from a seed: camera, light, background, shutter, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.head_model.render import Light

Image = NDArray[np.uint8]

FOCAL_RANGE = (0.8, 3.0)  # over the image's width
FACE_HEIGHT = 0.19  # metres, chin to hairline

# Photographs in scikit-image's own wheel that show nobody, and how often each is drawn.
_PHOTOGRAPHS = {
    "coffee.png": 2.0,
    "motorcycle_left.png": 3.0,
    "rocket.jpg": 1.5,
    "grass.png": 1.0,
    "brick.png": 1.5,
    "gravel.png": 1.0,
    "hubble_deep_field.jpg": 0.5,
}
_GREY = ("grass.png", "brick.png", "gravel.png")


@dataclass(frozen=True)
class Scene:
    """The filming of a sequence.

    ``focal_px``; ``place`` where the face rests in camera space, metres; ``lights`` and ``ambient`` as the renderer
    takes them; ``subframes`` pictures averaged over ``shutter`` of a frame's time; ``noise`` standard deviation in grey
    levels; ``crf`` of H.264.
    """

    focal_px: float
    place: tuple[float, float, float]
    lights: tuple[Light, ...]
    ambient: tuple[float, float, float]
    gloss: float
    subframes: int
    shutter: float
    noise: float
    crf: int


def make_scene(spec: SequenceSpec) -> Scene:
    """Draw the scene of a sequence."""
    random = spec.random("scene")
    focal = spec.side * float(np.exp(random.uniform(*np.log(FOCAL_RANGE))))
    turns = spec.performance == "turns"
    share = random.uniform(0.46, 0.56) if turns else random.uniform(0.50, 0.68)
    distance = focal * FACE_HEIGHT / (share * spec.side)
    # The face lies a little low, so that the lower edge of the bust is out of the picture.
    low = random.uniform(0.09, 0.12) if turns else random.uniform(0.05, 0.09)
    aside = np.array([random.uniform(-0.05, 0.05), low]) * spec.side * distance / focal
    warmth = random.uniform(-1, 1)
    tint = np.array([1 + 0.12 * warmth, 1.0, 1 - 0.16 * warmth])
    angle = random.uniform(-1.3, 1.3)
    strength = random.uniform(0.55, 0.95)
    key = Light((float(np.sin(angle)), -random.uniform(0.1, 0.9), -float(np.cos(angle))), _rgb(strength * tint))
    fill_tint = np.array([1 - 0.08 * warmth, 1.0, 1 + 0.1 * warmth])
    fill = Light((-float(np.sin(angle)) - 0.2, -0.1, -0.7), _rgb(random.uniform(0.08, 0.35) * fill_tint))
    rim = Light((random.uniform(-1, 1), -0.6, 0.6), _rgb(random.uniform(0.0, 0.4) * np.ones(3)))
    return Scene(
        focal_px=focal,
        place=(float(aside[0]), float(aside[1]), distance),
        lights=(key, fill, rim),
        ambient=_rgb(random.uniform(0.22, 0.42) * fill_tint),
        gloss=random.uniform(0.02, 0.09),
        subframes=int(random.choice((1, 2, 3), p=(0.4, 0.35, 0.25))),
        shutter=random.uniform(0.3, 0.7),
        noise=random.uniform(0.5, 4.0),
        crf=int(random.integers(20, 31)),
    )


def make_background(spec: SequenceSpec) -> Image:
    """A blurred, tinted part (side,side,3) of a real photograph that shows no face.

    Raises UserError ``no_backgrounds`` where scikit-image is not installed.
    """
    random = spec.random("background")
    weights = np.array(list(_PHOTOGRAPHS.values()))
    name = str(random.choice(list(_PHOTOGRAPHS), p=weights / weights.sum()))
    photograph = _photograph(name)
    height, width = photograph.shape[:2]
    part = int(min(height, width) * random.uniform(0.45, 0.95))
    top, left = random.integers(height - part + 1), random.integers(width - part + 1)
    crop = photograph[top : top + part, left : left + part]
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    crop = cv2.resize(crop, (spec.side, spec.side), interpolation=cv2.INTER_CUBIC)
    crop = cv2.GaussianBlur(crop, (0, 0), spec.side * random.uniform(0.002, 0.02)).astype(np.float64)
    tint = random.uniform(0.75, 1.1) * (1 + random.uniform(-1, 1, 3) * (0.12 if name in _GREY else 0.06))
    return np.clip(crop * tint, 0, 255).astype(np.uint8)


def noise_tile(spec: SequenceSpec, noise: float) -> NDArray[np.int16]:
    """Sensor noise (2·side, 2·side, 3), from which each frame takes another part."""
    random = spec.random("noise")
    luma = random.normal(0, noise, (2 * spec.side, 2 * spec.side, 1))
    chroma = random.normal(0, 0.5 * noise, (2 * spec.side, 2 * spec.side, 3))
    return np.rint(luma + chroma).astype(np.int16)


@lru_cache(maxsize=len(_PHOTOGRAPHS))
def _photograph(name: str) -> Image:
    try:
        data = (resources.files("skimage.data") / name).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise UserError(
            ErrorCode.NO_BACKGROUNDS,
            f"The benchmark's backgrounds come from scikit-image's photograph {name}, which is not installed.",
            "Install FlowFace with its demo extra.",
        ) from error
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def _rgb(color: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(c) for c in color)
    return red, green, blue
