"""From what was seen in one picture to the pose of a person's head: the solve, then the filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting.first_guess import initial_poses
from backend.fitting.types import EnergyWeights
from backend.live.frame_basis import build_frame_basis
from backend.live.frame_energy import Before, FrameEnergy, FrameState, Lens, Told
from backend.live.frame_solver import FOLLOWED, FRESH, solve_frame
from backend.live.one_euro import OneEuro, OneEuroFilter
from backend.live.person import Person
from backend.live.telling import Telling
from backend.observations import Alignment

F64 = NDArray[np.float64]
LOST = 0.25
"""Seconds without a face after which the next pose is found anew instead of from the last."""
EXPRESSION_WANDER, GAZE_WANDER = 3.0, 6.0
"""σ of what an action's weight, and a gaze angle in radians, may change by in a second, as a random walk does.

It holds what the points do not tell. Between 1 and 100 it moves weights by 0.0005 on the mean (lp_d10, grid_sbia1a).
"""
WEIGHTS_FILTER = OneEuro(least=3.0, slope=16.0)
"""Per weight. Chosen on lp_d10 and lp_s18: in their calmest quarter second differences are 0.65 of those of the offline
solve's smooth curves (without it 1.2 and 1.7), and weights are off it by 0.0118 and 0.0087 on the mean instead of
0.0096 and 0.0085. With a slope of 4 they are off by 0.0148 and 0.0088: quick lips lag."""
GAZE_FILTER = OneEuro(least=3.0, slope=16.0)
"""Per radian: a glance of 5 radians a second passes as it is."""
POSE_FILTER = OneEuro(least=2.0, slope=50.0)
"""Per entry of the rotation matrix, and per tangent of the direction to the head and logarithm of its depth. On the
same clips, calmest quarter: second differences 1.2 and 1.1 times the offline solve's (without it 2.4 and 3.9), off it
by 0.40 and 0.11° (0.38 and 0.10° without; 0.63 and 0.13° with a slope of 8)."""


@dataclass(frozen=True, eq=False)
class Posed:
    """A face as it is sent: ``expression (K,)``, ``gaze (2,2)``, ``rotation (3,)`` axis-angle, ``translation (3,)``."""

    expression: F64
    gaze: F64
    rotation: F64
    translation: F64


class FaceDriver:
    """Keeps the last answer and the filters of one person. Not safe to call from two threads at once."""

    def __init__(self, person: Person, *, filtered: bool = True, weights: EnergyWeights | None = None) -> None:
        self.person = person
        self._weights = weights or EnergyWeights()
        self._basis = build_frame_basis(person, self._weights)
        self._lens = Lens(person.focal_px, person.principal_point)
        self.telling = Telling(person.head, self._basis, self._weights)
        self._filters = PoseFilters() if filtered else None
        self._last: FrameState | None = None
        self._time = -np.inf

    def solve(self, seen: Alignment, time: float) -> Posed:
        """The pose of a picture at ``time`` seconds, later than the last one's."""
        told = self.telling.tell(seen, time)
        energy = FrameEnergy(self._basis, self._weights, self._lens, told)
        last = self._last if time - self._time <= LOST else None
        if last is None:
            solved = solve_frame(energy, self._fresh(told), most=FRESH)
            if self._filters is not None:
                self._filters.forget()
        else:
            elapsed = max(time - self._time, 1e-3)
            before = Before(last, 1 / (EXPRESSION_WANDER**2 * elapsed), 1 / (GAZE_WANDER**2 * elapsed))
            solved = solve_frame(energy.with_before(before), last, most=FOLLOWED)
        self._last, self._time = solved.state, time
        return self._posed(solved.state, time)

    def _fresh(self, told: Told) -> FrameState:
        """A face at rest, where weak perspective has it."""
        rotation, translation = initial_poses(
            self._basis.neutral,
            told.mu[None],
            told.precision[None],
            self._lens.focal_px,
            self._lens.principal_point,
        )
        rest = np.clip(np.zeros(self._basis.count), self._basis.lower, self._basis.upper)
        return FrameState(rest, rotation[0], translation[0], np.zeros(4))

    def _posed(self, state: FrameState, time: float) -> Posed:
        rotation = Rotation.from_matrix(state.rotation).as_rotvec()
        posed = Posed(state.expression, state.gaze.reshape(2, 2), rotation, state.translation)
        return posed if self._filters is None else self._filters(posed, time)


class PoseFilters:
    """One person's filters. Without a face for ``LOST`` seconds they are to ``forget``."""

    def __init__(self) -> None:
        self._weights = OneEuroFilter(WEIGHTS_FILTER)
        self._gaze = OneEuroFilter(GAZE_FILTER)
        self._turn, self._place = OneEuroFilter(POSE_FILTER), OneEuroFilter(POSE_FILTER)

    def forget(self) -> None:
        """Begin anew with the next pose."""
        for own in (self._weights, self._gaze, self._turn, self._place):
            own.forget()

    def __call__(self, posed: Posed, time: float) -> Posed:
        """The filtered pose of a moment, seconds, later than the last one's."""
        rotation = Rotation.from_rotvec(posed.rotation)
        turn = self._turn(rotation.as_matrix().ravel(), time).reshape(3, 3)
        # Depth is told far worse than direction: filtered by itself it does not shake the head in the picture.
        depth = posed.translation[2]
        ray = np.array([*(posed.translation[:2] / depth), np.log(depth)])
        x, y, log_depth = self._place(ray, time)
        depth = float(np.exp(log_depth))
        return Posed(
            expression=self._weights(posed.expression, time),
            gaze=self._gaze(posed.gaze.ravel(), time).reshape(2, 2),
            rotation=Rotation.from_matrix(turn).as_rotvec(),
            translation=np.array([x * depth, y * depth, depth]),
        )
