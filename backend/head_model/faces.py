"""Faces an animator asks a head for, as mixtures of ARKit's actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, actions_of, posed_vertices

_DOWN = -25.0


@dataclass(frozen=True)
class Face:
    """A named mixture: weights in 0…1 of ARKit's actions, of both sides where a name ends in ``*``.

    ``pitch`` is where the eyes look, in degrees above straight ahead.
    """

    name: str
    mixture: Mapping[str, float]
    pitch: float = 0.0

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each action by its name."""
        return {
            name.replace("*", side): weight
            for name, weight in self.mixture.items()
            for side in (("Left", "Right") if name.endswith("*") else ("",))
        }


FACES = (
    Face("neutral", {}),
    Face(
        "smile with teeth",
        {"mouthSmile*": 0.9, "mouthUpperUp*": 0.35, "mouthLowerDown*": 0.2, "mouthDimple*": 0.2, "cheekSquint*": 0.6},
    ),
    Face("O", {"jawOpen": 0.45, "mouthFunnel": 0.8, "mouthPucker": 0.3}),
    Face("kiss", {"mouthPucker": 1.0, "mouthShrugUpper": 0.1}),
    Face("lip bite", {"mouthRollLower": 1.0, "mouthUpperUp*": 0.45, "jawOpen": 0.05}),
    Face("sneer", {"noseSneer*": 1.0, "mouthUpperUp*": 0.5, "browDown*": 0.5}),
    Face("wide eyes", {"eyeWide*": 1.0, "browInnerUp": 0.7, "browOuterUp*": 0.7}),
    Face("squint", {"eyeSquint*": 1.0, "cheekSquint*": 0.7, "browDown*": 0.5}),
    Face("blink looking down", {"eyeBlink*": 1.0, "eyeLookDown*": 1.0}, _DOWN),
    Face("looking down", {"eyeLookDown*": 1.0}, _DOWN),
    Face("tongue", {"jawOpen": 0.45, "tongueOut": 1.0}),
    Face("sad", {"mouthFrown*": 0.9, "browInnerUp": 0.9, "mouthShrugLower": 0.5, "eyeSquint*": 0.2}),
    Face("puffed cheeks", {"cheekPuff": 1.0, "mouthPress*": 0.3}),
    Face("shout", {"jawOpen": 0.9, "mouthStretch*": 0.4, "mouthUpperUp*": 0.4, "browDown*": 0.6}),
)
"""Each is what the name says on ARKit's own reference faces: combinations that its documentation describes."""


def face_vertices(head: HeadModel, face: Face) -> NDArray[np.float32]:
    """Vertices (V,3) of the head's mean person making a face, metres, head space; actions it lacks are left out."""
    names, basis = actions_of(head)
    weights = [face.weights.get(name, 0.0) for name in names]
    posed = head.template + np.einsum("a,avc->vc", np.asarray(weights, np.float32), basis)
    gaze = np.tile(np.array([0.0, np.radians(face.pitch)], np.float32), (1, 2, 1))
    return posed_vertices(head, posed, np.zeros((1, len(head.expression_basis)), np.float32), gaze)[0]
