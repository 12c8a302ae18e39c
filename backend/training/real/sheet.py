"""``python -m backend.training.real.sheet DATA CACHE OUT.png``: real samples with their labels, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from backend.head_model.library import load_head
from backend.training.atlas_points import atlas_points
from backend.training.real.source import RealSource
from backend.training.samples import Sample

Picture = NDArray[np.uint8]

POINT, VERTEX, SQUARE = (60, 230, 90), (255, 170, 40), (255, 255, 255)


def contact_sheet(source: RealSource, columns: int = 8, rows: int = 6, every: int = 7) -> Picture:
    """RGB grid of samples spread over the source.

    The aligner's points green, every ``every``-th vertex that counts orange, darker the less it counts; the
    nominal crop as a square.
    """
    vertices = atlas_points(load_head("open")).vertices
    chosen = np.unique(np.linspace(0, len(source) - 1, min(columns * rows, len(source))).round().astype(int))
    tiles = [labelled(source.sample(int(index)), vertices, every) for index in chosen]
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    return np.concatenate([np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)])


def labelled(sample: Sample, vertices: int, every: int = 7) -> Picture:
    """The sample's picture, doubled, with the dots."""
    zoom = 2
    picture = np.asarray(cv2.resize(sample.image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8)
    for colour, numbers in ((VERTEX, np.arange(0, vertices, every)), (POINT, np.arange(vertices, len(sample.mu)))):
        most = max(float(sample.weight[numbers].max()), 1e-6)
        for number in numbers[sample.weight[numbers] > 0.02]:
            strength = 0.25 + 0.75 * float(sample.weight[number]) / most
            tone = tuple(int(c * strength) for c in colour)
            x, y = (int(v) for v in np.round(sample.mu[number] * zoom * 16 - 8))
            cv2.circle(picture, (x, y), 16, tone, -1, cv2.LINE_AA, 4)
    corners = sample.crop.points_to_image(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * sample.crop.size)
    cv2.polylines(picture, [np.round(corners * zoom * 16).astype(np.int32)], True, SQUARE, 1, cv2.LINE_AA, 4)
    cv2.putText(picture, sample.source, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, SQUARE, 1, cv2.LINE_AA)
    return picture


def main(
    data: Annotated[Path, typer.Argument(help="The folder with photos and clips.")],
    cache: Annotated[Path, typer.Argument(help="Where what is made is kept.")],
    out: Annotated[Path, typer.Argument(help="The picture to write.")],
) -> None:
    """Draw samples of everything that may be learnt from."""
    sheet = contact_sheet(RealSource(data, cache))
    out.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


if __name__ == "__main__":
    typer.run(main)
