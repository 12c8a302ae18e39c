"""ARKit actions that a face cannot do at once."""

from __future__ import annotations

_ON_EACH_SIDE = (
    ("mouthSmile", "mouthFrown"),
    ("eyeWide", "eyeBlink"),
    ("eyeWide", "eyeSquint"),
    ("browDown", "browOuterUp"),
    ("eyeLookIn", "eyeLookOut"),
    ("eyeLookUp", "eyeLookDown"),
)

OPPOSED_ACTIONS = (
    ("mouthLeft", "mouthRight"),
    ("jawLeft", "jawRight"),
    *((one + side, other + side) for side in ("Left", "Right") for one, other in _ON_EACH_SIDE),
)
"""Pairs of which Apple's own curves hold both above 0.1 in a thousandth of the frames of a lively performance."""
