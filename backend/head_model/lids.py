"""The closure of a head's eyes by an expression, whatever its expressions are called."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import FloatArray, HeadModel, SurfacePoints, actions_of, surface_positions

# Facing points of the upper and the lower lid's edge in mediapipe478, subject's left then right eye.
LID_PAIRS = (
    ((386, 374), (385, 380), (387, 373)),
    ((159, 145), (158, 153), (160, 144)),
)
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")

# A full blink brings the open head's lids 8 to 9 mm closer; an action that brings them less close than this is none.
LEAST_CLOSING = 0.002


def lid_closure(head: HeadModel) -> NDArray[np.float64] | None:
    """(2,K_ex): ``closure_of`` each of the head's expressions."""
    return closure_of(head, head.expression_basis)


def closure_of(head: HeadModel, offsets: FloatArray) -> NDArray[np.float64] | None:
    """(2,K): the share of a full blink by which each of the offsets (K,V,3), metres, closes the (left, right) lids.

    Measured between facing points of the lids' edges along the line that joins them in the neutral. None for a head
    that has no such landmarks or no blink.
    """
    points = head.landmarks.get("mediapipe478")
    names, basis = actions_of(head)
    if points is None or any(name not in names for name in BLINKS):
        return None
    rows = []
    for pairs, blink in zip(LID_PAIRS, BLINKS, strict=True):
        upper, lower = np.array(pairs).T
        axis = _at(head, points, upper, head.template[None]) - _at(head, points, lower, head.template[None])
        axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
        fields = np.concatenate([basis[names.index(blink)][None], offsets])
        gap = _at(head, points, upper, fields) - _at(head, points, lower, fields)
        closing = -(gap * axis).sum(-1).mean(-1)
        if closing[0] < LEAST_CLOSING:
            return None
        rows.append(closing[1:] / closing[0])
    return np.stack(rows)


def _at(
    head: HeadModel, points: SurfacePoints, index: NDArray[np.int64], fields: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(…,n,3) of vertex fields (…,V,3) at some of the surface points."""
    chosen = SurfacePoints(points.triangle[index], points.barycentric[index])
    return np.asarray(surface_positions(chosen, head.triangles, fields), np.float64)
