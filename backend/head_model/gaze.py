"""The bond between gaze and lids, the same on every head with ARKit actions."""

from __future__ import annotations

import numpy as np

from protocol.face_actions import FULL_LOOK_DEGREES, LOOK_ACTIONS

__all__ = ["FULL_LOOK_ANGLE", "LOOK_ACTIONS"]

# Radians. The upper lid's edge turns about the eye by 23.7° in the open head's eyeLookDown, 0.95 of it, as human lids
# follow the eye (Becker and Fuchs 1988, "Lid-eye coordination during vertical gaze changes in man and monkey").
FULL_LOOK_ANGLE = np.deg2rad(FULL_LOOK_DEGREES)
