"""Expressions as short codes whose first numbers say most: what avatars are conditioned on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.export.takes import ExportTake
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]

FREE = "expression_"
"""How expressions of heads like FLAME are called, whose own order is that of their variance."""


def expression_codes(take: ExportTake) -> tuple[F64, str]:
    """Codes (T,C) of a take's expressions, and one sentence on what they are.

    FLAME's are its own 100 coefficients, in standard deviations. Actions are as many as they are and in no order:
    their principal components are written, of the head's own offsets, the same in all takes. A component's number is
    the root mean square distance in millimetres by which it moves the face's vertices.
    """
    head, expression = take.head, np.asarray(take.track.expression, np.float64)
    free = np.array([name.startswith(FREE) for name in head.expression_names])
    if free.any():
        return expression[:, free], f"the head's first {free.sum()} expressions, in standard deviations."
    turn = principal_actions(head)
    what = f"{turn.shape[1]} principal components of the head's {len(turn)} actions, the greatest first"
    return expression @ turn, f"{what}, in mm (root mean square over the face)."


def principal_actions(head: HeadModel) -> F64:
    """(K,K) from strengths of a head's K actions to codes: with offsets B = U S Wᵀ over the face's vertices, U S / √V.

    Every component's sign is such that its largest action counts positive.
    """
    face = head.regions["face"]
    offsets = 1000 * head.expression_basis[:, face].astype(np.float64).reshape(len(head.expression_basis), -1)
    values, vectors = np.linalg.eigh(offsets @ offsets.T / face.sum())
    order = np.argsort(values)[::-1]
    turn = vectors[:, order] * np.sqrt(np.maximum(values[order], 0))
    largest = np.take_along_axis(turn, np.abs(turn).argmax(axis=0)[None], axis=0)
    return np.asarray(turn * np.where(largest < 0, -1.0, 1.0), np.float64)
