"""Crops of faces as InsightFace cuts them for ArcFace, from what any aligner sees of a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.rigid import similarity_between
from backend.observations import PointSet

F64 = NDArray[np.float64]

SIZE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points lie in a crop of 112 pixels, (0,0) the centre of its first one: InsightFace's template
(``arcface_dst`` of its ``face_align``)."""

MEDIAPIPE = "mediapipe478"
FIVE = ((33, 133, 159, 145), (362, 263, 386, 374), (1,), (61,), (291,))
"""The five points as means of MediaPipe's: the eye on the left of the picture (corners and middles of the lids) and the
other one, tip of the nose, corner of the mouth on the left of the picture and the other one. The subject's right is on
the left."""

_NEAR = 0.012
"""m. Points so near tell where one lies that was not asked for; a dense set has 10 of them, the noses of people differ
by less."""
_LEAST = 6
"""Points that a local affine map of three numbers a side is told by, with three to spare."""


def arcface_crop(image: NDArray[np.uint8], five: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The crop (112,112,3) of an RGB picture (H,W,3) in which the five points (5,2), pixels, lie where the template
    has them as well as a similarity can bring them there (least squares); black beyond the picture.

    Bilinear without smoothing, as InsightFace's ``norm_crop`` does, on whose crops the encoder was trained.
    """
    import cv2

    onto = similarity_between(np.asarray(five, np.float64) - 0.5, TEMPLATE)  # OpenCV's (0,0) is a pixel's centre
    matrix = np.column_stack([onto.scale * onto.rotation, onto.translation])
    return np.asarray(cv2.warpAffine(image, matrix, (SIZE, SIZE)), np.uint8)


def five_points(head: HeadModel, point_sets: Sequence[PointSet]) -> F64 | None:
    """The five points (5,2) of ``TEMPLATE`` in a picture, pixels, from sets of one frame each (μ (1,N,2)).

    MediaPipe's own where that set is there and all are seen; else, from all seen points of the head together, what a
    local affine map about each one says. None where too little is seen.
    """
    used = [index for part in FIVE for index in part]
    for seen in point_sets:
        if seen.id.name == MEDIAPIPE and seen.points is None and seen.valid[0, used].all():
            return np.array([seen.mu[0, list(part)].mean(axis=0) for part in FIVE], np.float64)
    at, mu = _seen(head, point_sets)
    if len(at) < _LEAST or MEDIAPIPE not in head.landmarks:
        return None
    places = surface_positions(head.landmarks[MEDIAPIPE], head.triangles, head.template)
    wanted = [places[list(part)].mean(axis=0) for part in FIVE]
    found = [_between(at, mu, place) for place in wanted]
    return None if any(point is None for point in found) else np.array(found, np.float64)


def _seen(head: HeadModel, point_sets: Sequence[PointSet]) -> tuple[F64, F64]:
    """Places (N,3) on the mean head, metres, and pixels (N,2) of all points that are seen."""
    known = [seen for seen in point_sets if seen.points is not None or seen.id.name in head.landmarks]
    at = [
        surface_positions(seen.surface_points(head.landmarks), head.triangles, head.template)[seen.valid[0]]
        for seen in known
    ]
    mu = [seen.mu[0, seen.valid[0]] for seen in known]
    return np.concatenate([np.zeros((0, 3)), *at]), np.concatenate([np.zeros((0, 2)), *mu])


def _between(at: F64, mu: F64, place: NDArray[np.floating[Any]]) -> F64 | None:
    """Where ``place (3,)`` lies in the picture: affine in the place, told by the points near it."""
    offset = at - place
    near = np.linalg.norm(offset, axis=1) < _NEAR
    if near.sum() < _LEAST:
        return None
    system = np.column_stack([np.ones(near.sum()), offset[near]])
    return np.asarray(np.linalg.lstsq(system, mu[near], rcond=None)[0][0], np.float64)
