"""The face detectors (BlazeFace) as plain functions: anchors, what the networks' numbers mean, one answer per face.

Both are single-shot: every cell of a coarse grid over a square picture says by how much a face's box and six of its
points differ from the cell's centre, and how sure it is. Anchors have one fixed size, so only centres count. Numbers of
the layouts are those of MediaPipe's graphs ``face_detection_short_range`` and ``face_detection_full_range``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.networks import F32, Network, NetworkName, network_bytes

F64 = NDArray[np.float64]
KEYPOINTS = 6  # the subject's right eye, left eye, nose, mouth, right ear, left ear
SAME_FACE = 0.3
"""Overlap (intersection over union) from which answers are of one face; they are averaged by their scores."""


@dataclass(frozen=True)
class Layout:
    """A detector's grids: ``(cells along a side, anchors in each)``, in the order of its answers."""

    network: NetworkName
    grids: tuple[tuple[int, int], ...]


NEAR = Layout("detector", ((16, 2), (8, 6)))
FAR = Layout("far_detector", ((48, 1),))


@cache
def anchor_centres(layout: Layout) -> F64:
    """(n,2) x and y of every anchor's centre, in sides of the picture."""
    parts = []
    for cells, each in layout.grids:
        middle = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, each, axis=0))
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Detections:
    """Faces seen: ``boxes (n,4)`` left, top, right, bottom, ``keypoints (n,6,2)`` and ``scores (n,)`` in 0…1."""

    boxes: F64
    keypoints: F64
    scores: F64


def decoded(raw: F32, logits: F32, anchors: F64, size: int, min_score: float) -> Detections:
    """What a network's numbers ``raw (n,16)`` and ``logits (n,)`` say, in sides of the picture, if sure enough."""
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    sure = scores >= min_score
    numbers = raw[sure].astype(np.float64).reshape(-1, 2 + KEYPOINTS, 2) / size
    centres = anchors[sure]
    middle, extent = numbers[:, 0] + centres, numbers[:, 1]
    boxes = np.concatenate([middle - extent / 2, middle + extent / 2], axis=1)
    return Detections(boxes, numbers[:, 2:] + centres[:, None], scores[sure])


def one_per_face(seen: Detections, same: float = SAME_FACE) -> Detections:
    """The surest of all answers that overlap by ``same``, its place their mean weighted by score; surest first."""
    left = np.argsort(-seen.scores, kind="stable")
    boxes, keypoints, scores = [], [], []
    while left.size:
        alike = _overlaps(seen.boxes[left[0]], seen.boxes[left]) >= same
        alike[0] = True
        chosen = left[alike]
        weight = seen.scores[chosen] / seen.scores[chosen].sum()
        boxes.append(weight @ seen.boxes[chosen])
        keypoints.append(np.einsum("n,nkc->kc", weight, seen.keypoints[chosen]))
        scores.append(seen.scores[left[0]])
        left = left[~alike]
    return Detections(
        np.array(boxes).reshape(-1, 4), np.array(keypoints).reshape(-1, KEYPOINTS, 2), np.array(scores, np.float64)
    )


def _overlaps(box: F64, boxes: F64) -> F64:
    """(n,) intersection over union; 0 with a box turned inside out."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    union = np.prod(np.maximum(box[2:] - box[:2], 0)) + areas - common
    return np.asarray(np.where(union > 0, common / np.maximum(union, 1e-12), 0.0))


class Detector:
    """One of the detectors on pictures of any shape. Not safe to call from two threads at once."""

    def __init__(self, layout: Layout) -> None:
        self._anchors = anchor_centres(layout)
        self._network = Network(network_bytes()[layout.network], scale=2 / 255, shift=-1.0)

    def __call__(self, image: NDArray[np.uint8], min_score: float) -> Detections:
        """Faces in an RGB image (H,W,3), in its pixels."""
        size = self._network.size
        picture, scale, left, top = letterboxed(image, size)
        answers = {output.shape[1]: output[0] for output in self._network([picture])}
        count = len(self._anchors)
        raw, logits = answers[count * 2 * (2 + KEYPOINTS)].reshape(count, -1), answers[count]
        seen = one_per_face(decoded(raw, logits, self._anchors, size, min_score))
        corner = np.array([left, top], np.float64)
        boxes = (seen.boxes.reshape(-1, 2, 2) * size - corner) / scale
        keypoints = (seen.keypoints * size - corner) / scale
        return Detections(boxes.reshape(-1, 4), keypoints, seen.scores)

    def close(self) -> None:
        self._network.close()


def letterboxed(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], F64, int, int]:
    """An image (H,W,3) within a black square of ``size`` pixels.

    The square, the image's scale in it (x and y), and the column and row of its first pixel.
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    inside = max(1, round(width * ratio)), max(1, round(height * ratio))
    shrunk = cv2.resize(image, inside, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    left, top = (size - inside[0]) // 2, (size - inside[1]) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + inside[1], left : left + inside[0]] = shrunk
    return square, np.array([inside[0] / width, inside[1] / height]), left, top
