"""The demo's rendered clip: pictures of a performance of a head before a plain textured wall."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.head_model.appearance import default_colors
from backend.head_model.model import HeadModel
from backend.head_model.render import HeadRenderer
from backend.synthesis.performance import Performance, world_vertices

Image = NDArray[np.uint8]

WALL_COLOUR = (148, 156, 150)


def textured_wall(size: tuple[int, int], seed: int) -> Image:
    """A wall (H,W,3) with soft stains and fine grain, and a light falling off towards the lower right."""
    width, height = size
    rng = np.random.default_rng(seed)
    stains = gaussian_filter(rng.standard_normal((height, width)), sigma=width / 20)
    grain = gaussian_filter(rng.standard_normal((height, width)), sigma=0.8)
    y, x = np.mgrid[0:height, 0:width]
    shade = 1.08 - 0.25 * (x / width + y / height) + 0.06 * stains / stains.std() + 0.015 * grain / grain.std()
    return np.clip(shade[..., None] * np.array(WALL_COLOUR, np.float64), 0, 255).astype(np.uint8)


def render_performance(head: HeadModel, performance: Performance, wall_seed: int = 7) -> Iterator[Image]:
    """RGB pictures (H,W,3) of every frame; ``wall_seed`` draws the wall. Raises UserError where there is no OpenGL."""
    vertices = world_vertices(head, performance)
    colors = default_colors(head)
    wall = textured_wall(performance.image_size, wall_seed)
    centre = (float(performance.principal_point[0]), float(performance.principal_point[1]))
    with HeadRenderer(performance.image_size) as renderer:
        for frame, focal in zip(vertices, performance.focal_px, strict=True):
            yield renderer.render(
                frame,
                head.triangles,
                colors,
                focal_px=float(focal),
                principal_point=centre,
                world_to_camera=np.eye(3, 4),
                background=wall,
            )
