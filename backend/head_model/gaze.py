"""The bond between gaze and lids, the same on every head with ARKit actions."""

from __future__ import annotations

import numpy as np

# The actions that carry the lids for (+yaw, −yaw, +pitch, −pitch) of the left and of the right eye.
LOOK_ACTIONS = (
    ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"),
    ("eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeLookDownRight"),
)

# The gaze angle, radians, at which such an action is full: the comfortable range of eyes in a still head is 20–25°
# (Stahl 1999, "Amplitude of human head movements associated with horizontal saccades"). The upper lid's edge turns
# about the eye by 23.7° in the open head's eyeLookDown, 0.95 of it, as human lids follow the eye (Becker and Fuchs
# 1988, "Lid-eye coordination during vertical gaze changes in man and monkey").
FULL_LOOK_ANGLE = np.deg2rad(25.0)
