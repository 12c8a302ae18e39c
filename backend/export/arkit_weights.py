"""A take's weights of ARKit's actions, whatever its head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.track.geometry import person_of
from backend.track.types import Track
from protocol.face_actions import ARKIT_ACTIONS


def arkit_weights(track: Track, head: HeadModel) -> NDArray[np.float64]:
    """Weights (T,52), 0…1, in the order of ``ARKIT_ACTIONS``.

    They are the track's own, or solved anew from its expressions where it was made before tracks had any.
    """
    if not track.action_names:
        from backend.head_model.action_weights import solve_action_weights

        return solve_action_weights(person_of(head, track), track.expression, track.gaze).astype(np.float64)
    weights = np.zeros((len(track.frames), len(ARKIT_ACTIONS)))
    weights[:, [ARKIT_ACTIONS.index(name) for name in track.action_names]] = track.actions
    return weights
