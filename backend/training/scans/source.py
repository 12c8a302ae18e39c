"""Training samples of registered scans seen from new sides (seeds/000 D): random focal lengths and directions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from backend.training.samples import NOMINAL, Sample, sample_side
from backend.training.scans.drawn import DrawnScans, Tint
from backend.training.scans.registered import RegisteredScan
from backend.training.synthetic.backgrounds import draw_background
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.views import Pose, draw_place, posed

YAW, PITCH = 90.0, 45.0
"""Degrees from the front up to which views are drawn (seeds/000 D)."""
_ROLL = 10.0  # degrees, standard deviation


class ScanSource(AbstractContextManager["ScanSource", None]):
    """Renders samples of registered scans; a context manager. ``nominal`` is the crop's side, pixels.

    Labels weigh as ``DrawnScans`` has them. Raises UserError ``bad_mesh`` for a scan without colours, ``no_opengl``.
    """

    def __init__(self, scans: Sequence[RegisteredScan], nominal: int = NOMINAL) -> None:
        self._drawn = DrawnScans(scans, nominal)
        self._side = sample_side(nominal)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._drawn.close()

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample that ``rng`` draws, of the scans in turn; ``index`` also names it."""
        return self.render(index % len(self._drawn.scans), draw_view(rng), index, rng)

    def render(self, number: int, pose: Pose, index: int, rng: np.random.Generator) -> Sample:
        """A sample of scan ``number`` as ``pose`` turns it; ``rng`` draws light and background."""
        tint = _tint(rng)
        background = draw_background(rng, self._side)
        source = f"scan {self._drawn.scans[number].name} {index}"
        light = draw_scan_light(rng)
        sample, _ = self._drawn.draw(number, pose.rotation, pose.place, light, tint, background, source)
        return sample


def draw_view(random: np.random.Generator) -> Pose:
    """Evenly to ±90° of yaw and ±45° of pitch, mostly 0.3 to 2 m away: the focal length follows from the crop."""
    yaw, pitch = np.deg2rad(random.uniform(-YAW, YAW)), np.deg2rad(random.uniform(-PITCH, PITCH))
    roll = np.deg2rad(np.clip(random.normal(0, _ROLL), -30, 30))
    return posed(float(yaw), float(pitch), float(roll), draw_place(random))


def draw_scan_light(random: np.random.Generator) -> Lighting:
    """Mostly even, as a scan's picture brings its own light; one faint lamp gives it a side."""
    level = random.uniform(0.55, 1.05)
    ambient = np.zeros((3, 4))
    ambient[:, 0] = level
    ambient[:, 1:] = level * random.normal(0, 0.12, 3)
    direction = np.array([random.uniform(-1, 1), random.uniform(-1, 0.3), -1.0])
    directions = np.tile(direction / np.linalg.norm(direction), (LAMPS, 1))
    colors = np.zeros((LAMPS, 3))
    colors[0] = random.uniform(0, 0.35)
    return Lighting(ambient, directions, colors, gloss=random.uniform(0.1, 0.8), shadow=random.uniform(0, 0.6))


def _tint(random: np.random.Generator) -> Tint:
    red, green, blue = np.exp(random.normal(0, 0.12) + random.normal(0, 0.04, 3))
    return float(red), float(green), float(blue)
