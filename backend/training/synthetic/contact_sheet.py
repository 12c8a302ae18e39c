"""A picture of rendered samples side by side, to look over what the network is taught."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.training.samples import Sample

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

_COLORS: dict[str, Color] = {
    "face": (0, 220, 90),
    "ears": (255, 130, 0),
    "nose": (80, 160, 255),
    "lips": (255, 60, 190),
    "lids": (255, 255, 0),
    "left_eyeball": (0, 255, 255),
    "right_eyeball": (0, 255, 255),
}
"""Dots of each region, later ones over earlier ones; other points are grey and hidden ones dark red."""

_SHIFT = 3  # fractional bits of OpenCV's coordinates
_EVERY = 4  # one in so many of the open head's vertices is drawn, where they lie closer than dots


def contact_sheet(samples: Sequence[Sample], head: HeadModel | None = None, columns: int = 8) -> Image:
    """The samples' pictures in rows; with ``head``, the open head, also their points by region and the nominal crop."""
    tiles = [sample.image.copy() if head is None else _annotated(sample, head) for sample in samples]
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def _annotated(sample: Sample, head: HeadModel) -> Image:
    image = np.ascontiguousarray(sample.image.copy())
    colors = np.full((head.vertex_count, 3), 150)
    fine = np.zeros(head.vertex_count, bool)
    for name, color in _COLORS.items():
        colors[head.regions[name]] = color
        fine |= head.regions[name] & (name in ("lips", "lids"))
    shown = (sample.weight[: head.vertex_count] > 0.5) & (fine | (np.arange(head.vertex_count) % _EVERY == 0))
    for index in np.flatnonzero(shown):
        seen = bool(sample.visible[index])
        x, y = _fixed(sample.mu[index])
        color = colors[index].tolist() if seen else (120, 0, 0)
        cv2.circle(image, (x, y), 5 if seen else 3, color, -1, cv2.LINE_AA, _SHIFT)
    side = float(sample.crop.size)
    corners = sample.crop.points_to_image(np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float64))
    cv2.polylines(
        image, [np.array([_fixed(corner) for corner in corners])], True, (255, 255, 255), 1, cv2.LINE_AA, _SHIFT
    )
    cv2.putText(image, sample.source, (4, 12), cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def _fixed(point: NDArray[np.floating[Any]]) -> tuple[int, int]:
    # OpenCV counts from the first pixel's centre.
    x, y = np.rint((np.clip(point, -1e4, 1e4) - 0.5) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def sheet(
    ict: Annotated[Path, typer.Argument(help="ICT-FaceKit's archive, ict_facekit.npz.")],
    out: Annotated[Path, typer.Argument(help="PNG to write.")],
    count: Annotated[int, typer.Option(help="How many samples.", min=1, max=400)] = 48,
    seed: Annotated[int, typer.Option(help="Other samples for another number.", min=0)] = 0,
    points: Annotated[bool, typer.Option("--points", help="Draw the points by region and the nominal crop.")] = False,
) -> None:
    """Draw rendered training samples side by side."""
    from backend.files import write_atomic
    from backend.head_model.library import load_head
    from backend.training.synthetic.source import SyntheticSource

    with SyntheticSource(ict) as source:
        samples = [source.sample(n, np.random.default_rng([seed, n])) for n in range(count)]
    picture = contact_sheet(samples, load_head("open") if points else None)
    write_atomic(out, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())


if __name__ == "__main__":
    typer.run(sheet)
