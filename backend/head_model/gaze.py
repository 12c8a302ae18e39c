"""The bond between gaze and lids, the same on every head with ARKit actions."""

from __future__ import annotations

import numpy as np

# The actions that carry the lids for (+yaw, −yaw, +pitch, −pitch) of the left and of the right eye.
LOOK_ACTIONS = (
    ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"),
    ("eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeLookDownRight"),
)

# The gaze angle, radians, at which such an action is full: the comfortable range of eyes in a still head is 20–25°
# (Stahl 1999, "Amplitude of human head movements associated with horizontal saccades").
FULL_LOOK_ANGLE = np.deg2rad(25.0)
