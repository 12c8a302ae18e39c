"""The same detectors look at the footage and at the drawn head, in the same crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import cut
from backend.alignment.landmarks.face_mesh import SIZE, FaceMeshNetwork
from backend.evaluation.scores import PlainScores
from backend.evaluation.seen.measures import Ruler, measures_of
from backend.evaluation.seen.performance import Performance, Portrait
from backend.evaluation.seen.second_mesh import SecondMesh, crop_around
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

PRESENT = 0.5
"""The presence from which a network's answer counts, as in MediaPipe's own graph."""


@dataclass(frozen=True, eq=False)
class Watched:
    """What was seen in n frames: ``measures (n,M)`` and blendshape scores ``scores (n,52)``; NaN without a face."""

    measures: F64
    scores: F64


@dataclass(frozen=True, eq=False)
class Sight:
    """What was seen in ``frames (n,)`` of the drawn head and in the footage."""

    frames: NDArray[np.int64]
    head: Watched
    footage: Watched


class Watcher:
    """The second landmark network, and the blendshape network on MediaPipe's mesh."""

    def __init__(self) -> None:
        self._second, self._mesh, self._scores = SecondMesh(), FaceMeshNetwork(), PlainScores()

    def close(self) -> None:
        """Stop the networks' threads."""
        for network in (self._second, self._mesh, self._scores):
            network.close()

    def points68(self, image: Image, around: F64) -> F64:
        """The iBUG-68 points (68,2) that the second network sees in the crop around points; NaN without a face."""
        found, presence = self._second([image], [crop_around(around)])
        return found[0, list(IBUG68_FROM_MEDIAPIPE)] if presence[0] >= PRESENT else np.full((68, 2), np.nan)

    def scores(self, image: Image, around: F64) -> F64:
        """Scores (52,) of the blendshape network in the crop around points; NaN without a face."""
        crop = crop_around(around, SIZE)
        points, presence = self._mesh([cut(image, crop)])
        if presence[0] < PRESENT:
            return np.full(52, np.nan)
        return self._scores([crop.points_to_image(points[0, :, :2])])[0].astype(np.float64)


def watch(
    watcher: Watcher,
    performance: Performance,
    footage: Iterable[tuple[int, Image]],
    on_frame: Callable[[int], None] | None = None,
) -> Sight:
    """Look at a fitted head and its footage; ``footage`` gives frames with pictures, of the fitted camera's size."""
    frames: list[int] = []
    points: tuple[list[F64], list[F64]] = ([], [])
    scores: tuple[list[F64], list[F64]] = ([], [])
    with Portrait(performance) as portrait:
        for frame, image in footage:
            around = performance.points(frame)
            for side, picture in enumerate((portrait.picture(frame), image)):
                points[side].append(watcher.points68(picture, around))
                scores[side].append(watcher.scores(picture, around))
            frames.append(frame)
            if on_frame is not None:
                on_frame(len(frames))
    chosen = np.array(frames, np.int64)
    ruler = Ruler.of(performance.mesh).at(chosen)
    head, seen = (
        Watched(measures_of(np.array(points[side]).reshape(-1, 68, 2), ruler), np.array(scores[side]).reshape(-1, 52))
        for side in (0, 1)
    )
    return Sight(chosen, head, seen)
