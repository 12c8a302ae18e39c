"""The facial actions that both sides speak of."""

from __future__ import annotations

ARKIT_ACTIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The 52 facial actions of Apple's ARKit (ARFaceAnchor.BlendShapeLocation), in alphabetical order."""


def mirrored(action: str) -> str:
    """The action of the other side; one without a side mirrors itself."""
    for left, right in (("Left", "Right"), ("Right", "Left")):
        if action.endswith(left):
            return action.removesuffix(left) + right
    return action


LOOK_ACTIONS = (
    ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"),
    ("eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeLookDownRight"),
)
"""The actions that carry the lids for (+yaw, −yaw, +pitch, −pitch) of the left and of the right eye."""

FULL_LOOK_DEGREES = 25.0
"""The gaze angle at which such an action is full: the comfortable range of eyes in a still head is 20–25° (Stahl 1999,
"Amplitude of human head movements associated with horizontal saccades")."""
