"""Looks at unlabelled footage of a person: what a driver adapts to (seeds/003 §3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import cut
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_mesh import box_around, crop_of
from backend.alignment.landmarks.features import FeatureNetwork
from backend.appearance.driver import Driver
from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage import FootageFrame

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

MOST = 300
"""Frames at most: the first of longer footage, as the light stays; each keeps 0.2 MB."""
LEAST = 30


@dataclass(frozen=True, eq=False)
class Looks:
    """T frames that show the face, in order: ``number (T,)`` in the footage, ``pictures (T,256,256,3)`` their crops,
    ``crop (T,4)`` x, y, side, roll, ``features (T,F)``, ``own (T,K,2)`` where the features' network sees the points and
    ``detected (T,K,2)`` where the landmark aligner does, which looks at the mirror image, too; pixels of the crop.
    ``size (2,)`` is the pictures' width and height."""

    number: NDArray[np.int64]
    pictures: NDArray[np.uint8]
    crop: F64
    features: F32
    own: F32
    detected: F32
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def part(self, chosen: NDArray[np.bool_]) -> Looks:
        """Those of some frames (T,)."""
        kept = {name: value if name == "size" else value[chosen] for name, value in self.arrays().items()}
        return Looks(**kept)


def look_at(
    driver: Driver, frames: Iterable[FootageFrame], total: int, on_progress: OnProgress, should_cancel: ShouldCancel
) -> Looks:
    """Look at footage as the driver does.

    Raises UserError ``too_few_frames`` where fewer than ``LEAST`` frames show the face, or none behind another;
    ``Cancelled``.
    """
    number = driver.model.person.points.number
    network, aligner = FeatureNetwork(), LandmarkAligner()
    rows: list[tuple[Any, ...]] = []
    size = (0, 0)
    try:
        for frame in frames:
            if should_cancel():
                raise Cancelled
            size = frame.image.shape[1], frame.image.shape[0]
            answer = driver.look(frame.image)
            found = None if answer is None else aligner.align([frame.image], [box_around(answer.landmarks)])[0]
            if answer is not None and found is not None:
                crop = crop_of(box_around(answer.landmarks))
                picture = cut(frame.image, crop)
                seen = network([picture])
                told = crop.points_from_image(found.point_sets[0].mu.astype(np.float64))[number]
                place = (crop.x, crop.y, crop.side, crop.roll)
                rows.append((frame.number, picture, place, seen.features[0], seen.points[0, number, :2], told))
            on_progress("looking at the footage", len(rows), min(total, MOST))
            if len(rows) >= MOST:
                break
    finally:
        network.close()
        aligner.close()
    if len(rows) < LEAST:
        sentence = f"The footage shows the face in {len(rows)} frames, and {LEAST} are needed to adapt."
        raise UserError(ErrorCode.TOO_FEW_FRAMES, sentence, "Name longer footage.")
    if not any(after[0] - before[0] == 1 for before, after in pairwise(rows)):
        sentence = "No two of the footage's frames that show the face follow each other."
        raise UserError(ErrorCode.TOO_FEW_FRAMES, sentence, "Name footage without gaps.")
    numbers, pictures, places, features, own, found_at = zip(*rows, strict=True)
    return Looks(
        np.array(numbers, np.int64),
        np.stack(pictures),
        np.array(places, np.float64),
        np.stack(features).astype(np.float32),
        np.stack(own).astype(np.float32),
        np.stack(found_at).astype(np.float32),
        np.array(size, np.int64),
    )
