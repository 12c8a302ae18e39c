"""Whose appearance it is: a head, its identity and its own actions, and the points of it that tell its pose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE
from backend.head_model.library import load_head_of
from backend.head_model.lid_clearance import with_clear_lids
from backend.head_model.model import JOINT_NAMES, HeadModel, surface_positions
from backend.head_model.personal import with_corrections
from backend.track.types import Track

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

POINT_SET = "mediapipe478"
SKIN_POINTS = 468
"""Of MediaPipe's points those on skin; the irises turn with the gaze."""
IRISES = np.array([range(473, 478), range(468, 473)])
"""(2,5) the points of the left and right iris."""
EVERY = 4
"""Of the points on skin every so many join the 51 on brows, nose, eyes and lips."""


@dataclass(frozen=True, eq=False)
class Person:
    """As a track tells it, see ``backend.track.types.Track``."""

    head_id: str
    head_hash: str
    identity: F32
    deformation: F32
    action_corrections: F16

    @classmethod
    def of(cls, track: Track) -> Person:
        return cls(track.head_id, track.head_hash, track.identity, track.deformation, track.action_corrections)

    @cached_property
    def model(self) -> HeadModel:
        """The head that the coefficients belong to. Raises UserError ``head_changed``, and as ``load_head_of`` does."""
        head = load_head_of(self.head_id, self.head_hash)
        if head.hash != self.head_hash:
            sentence = f"The head “{self.head_id[:60]}” has changed since the footage was tracked."
            raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
        return head

    @cached_property
    def neutral(self) -> F32:
        """(V,3) metres in head space."""
        neutral = self.model.neutral(self.identity)
        return neutral + self.deformation if len(self.deformation) else neutral

    @cached_property
    def head(self) -> HeadModel:
        """The head as this person performs it. Raises UserError ``head_changed``."""
        if self.action_corrections.shape[1] not in (0, self.model.vertex_count):
            sentence = f"The head “{self.head_id}” has changed since the footage was tracked."
            raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
        return with_clear_lids(with_corrections(self.model, self.action_corrections), self.neutral)

    @cached_property
    def points(self) -> FacePoints:
        """Raises UserError ``other_head`` where the head has no such points."""
        if POINT_SET not in self.model.landmarks:
            raise UserError(
                ErrorCode.OTHER_HEAD,
                f"The head “{self.head_id[:60]}” has no MediaPipe landmarks, by which its pose could be told.",
                "Track the footage with the head “open”.",
            )
        return FacePoints.of(self)

    @cached_property
    def eyes(self) -> Eyes:
        return Eyes.of_head(self.head, self.neutral)


@dataclass(frozen=True, eq=False)
class FacePoints:
    """K points of a person's skin: ``number (K,)`` among MediaPipe's, ``rest (K,3)`` on the neutral and ``moves
    (K_ex,K,3)`` at strength 1 of each expression, metres in head space."""

    number: NDArray[np.intp]
    rest: F64
    moves: F64

    @classmethod
    def of(cls, person: Person) -> FacePoints:
        number = chosen_points()
        head = person.head
        points = head.landmarks[POINT_SET]
        rest = surface_positions(points, head.triangles, person.neutral)[number]
        moves = surface_positions(points, head.triangles, head.expression_basis)[:, number]
        return cls(number, rest.astype(np.float64), moves.astype(np.float64))

    @cached_property
    def columns(self) -> F64:
        """(K,3,K_ex) ``moves`` by point."""
        return np.ascontiguousarray(self.moves.transpose(1, 2, 0))

    def at(self, expression: NDArray[np.floating[Any]]) -> F64:
        """Positions (T,K,3) at expressions (T,K_ex)."""
        return np.asarray(self.rest + np.tensordot(np.asarray(expression, np.float64), self.moves, axes=1))


@dataclass(frozen=True, eq=False)
class Eyes:
    """Of the left and right eye the ``joint (2,3)`` in head space and from there the iris's centre, ``arm (2,3)``, as
    it looks ahead, metres. No expression moves either."""

    joint: F64
    arm: F64

    @classmethod
    def of_head(cls, head: HeadModel, neutral: F32) -> Eyes:
        """Of a person's neutral (V,3) on a head."""
        joints = head.joints(neutral)
        joint = np.stack([joints[JOINT_NAMES.index(name)] for name in ("left_eye", "right_eye")])
        points = surface_positions(head.landmarks[POINT_SET], head.triangles, neutral)
        return cls(joint.astype(np.float64), iris_centres(points) - joint)


def iris_centres(points: NDArray[np.floating[Any]]) -> F64:
    """(…,2,C) the centres of the left and right iris among MediaPipe's points (…,478,C)."""
    return np.asarray(points[..., IRISES, :].mean(axis=-2), np.float64)


@lru_cache(maxsize=1)
def chosen_points() -> NDArray[np.intp]:
    """The numbers (K,) among MediaPipe's 478 of the points that tell the pose, ascending."""
    inner = [number for number in IBUG68_FROM_MEDIAPIPE[17:] if number < SKIN_POINTS]
    return np.array(sorted({*inner, *range(0, SKIN_POINTS, EVERY)}), np.intp)
