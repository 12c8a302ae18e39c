"""What the people of the benchmark do with their faces: mixtures of ARKit's actions; one without a side means both.

ICT-FaceKit's people's repertoire is close to what the network's training performs (RESULTS.md says so); MakeHuman's
people's was written for the benchmark alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.datasets.splits import People

Pose = Mapping[str, float]


@dataclass(frozen=True)
class Repertoire:
    """``visemes`` of speech and ``extremes``, of which each is held for ``hold`` and reached in ``change`` seconds."""

    visemes: tuple[Pose, ...]
    extremes: tuple[Pose, ...]
    hold: float
    change: float


_ICT_VISEMES: tuple[Pose, ...] = (
    {},
    {"mouthPress": 0.5, "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    {"jawOpen": 0.42, "mouthLowerDown": 0.2},
    {"jawOpen": 0.22, "mouthStretch": 0.35, "mouthSmile": 0.2},
    {"jawOpen": 0.12, "mouthStretch": 0.5, "mouthUpperUp": 0.25},
    {"jawOpen": 0.25, "mouthFunnel": 0.6},
    {"jawOpen": 0.10, "mouthPucker": 0.7},
    {"jawOpen": 0.18, "mouthFunnel": 0.35, "mouthPucker": 0.35},
    {"jawOpen": 0.08, "mouthRollLower": 0.5, "mouthUpperUp": 0.3},
    {"jawOpen": 0.15, "mouthUpperUp": 0.4, "mouthLowerDown": 0.4},
    {"jawOpen": 0.30, "mouthClose": 0.20, "mouthShrugUpper": 0.3},
)
_ICT_EXTREMES: tuple[Pose, ...] = (
    {"jawOpen": 1.0, "mouthStretch": 0.6, "eyeSquint": 0.8, "browDown": 0.8, "noseSneer": 0.6, "mouthUpperUp": 0.5},
    {"cheekPuff": 1.0, "mouthPress": 0.5, "eyeWide": 0.3},
    {"mouthPucker": 1.0, "browInnerUp": 0.6},
    {"mouthFunnel": 1.0, "browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 0.9, "jawOpen": 0.4},
    {"mouthSmile": 1.0, "cheekSquint": 0.9, "jawOpen": 0.3, "mouthUpperUp": 0.4},
    {"mouthFrown": 1.0, "browDown": 1.0, "mouthShrugLower": 0.8, "noseSneer": 0.4},
    {"jawLeft": 0.9, "mouthLeft": 0.8, "browOuterUp_R": 0.9, "eyeBlink_L": 1.0},
    {"mouthSmile_R": 1.0, "mouthRight": 0.6, "browDown_L": 0.9, "cheekSquint_R": 0.8},
)

_MAKEHUMAN_VISEMES: tuple[Pose, ...] = (
    {},
    {"mouthPress": 0.7},
    {"jawOpen": 0.55},
    {"jawOpen": 0.3, "mouthLowerDown": 0.5, "mouthStretch": 0.2},
    {"mouthSmile": 0.35, "mouthStretch": 0.4, "jawOpen": 0.08},
    {"mouthFunnel": 0.8, "jawOpen": 0.15},
    {"mouthPucker": 0.9},
    {"mouthRollLower": 0.7, "jawOpen": 0.05, "mouthUpperUp": 0.25},
    {"jawOpen": 0.35, "mouthFunnel": 0.45},
    {"jawForward": 0.25, "mouthFunnel": 0.4, "mouthShrugUpper": 0.2},
    {"jawOpen": 0.2, "mouthDimple": 0.35},
)
_MAKEHUMAN_EXTREMES: tuple[Pose, ...] = (
    {"mouthSmile": 0.9, "cheekSquint": 0.7, "eyeSquint": 0.5, "jawOpen": 0.55, "mouthLowerDown": 0.3},
    {"noseSneer": 0.9, "mouthUpperUp": 0.8, "browDown": 0.6, "eyeSquint": 0.4},
    {"browInnerUp": 0.9, "mouthFrown": 0.8, "mouthStretch": 0.3, "eyeSquint": 0.3},
    {"browInnerUp": 0.7, "browOuterUp": 0.8, "eyeWide": 0.8, "jawOpen": 0.7},
    {"mouthSmile_L": 0.9, "mouthDimple_L": 0.5, "browOuterUp_L": 0.6},
    {"mouthRollLower": 0.9, "mouthRollUpper": 0.6, "mouthPress": 0.4, "browDown": 0.5},
    {"mouthPucker": 0.95, "mouthLeft": 0.6},
    {"cheekPuff": 0.9, "browOuterUp": 0.5},
    {"jawRight": 0.7, "jawOpen": 0.25, "mouthRight": 0.4},
    {"mouthShrugLower": 0.9, "mouthShrugUpper": 0.4, "mouthFrown": 0.4, "browInnerUp": 0.4},
    {"jawOpen": 0.9, "mouthFunnel": 0.5},
    {"eyeBlink_R": 1.0, "cheekSquint_R": 0.8, "mouthSmile_R": 0.7, "mouthUpperUp_R": 0.3},
    {"jawForward": 0.8, "browDown": 0.9, "mouthPress": 0.5},
)

REPERTOIRES: Mapping[People, Repertoire] = {
    "ict": Repertoire(_ICT_VISEMES, _ICT_EXTREMES, hold=0.35, change=0.3),
    "makehuman": Repertoire(_MAKEHUMAN_VISEMES, _MAKEHUMAN_EXTREMES, hold=0.25, change=0.22),
}
