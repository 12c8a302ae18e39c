"""Parts of a tracked take solved again between corrections; whatever lies outside stays as it was tracked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.fitting.corrections.fade import dilated, runs, shares_of_new
from backend.fitting.corrections.hidden import bridged_start, hiding, with_ignored
from backend.fitting.corrections.targets import PinTargets, held_term, pin_targets
from backend.fitting.corrections.tracked import TrackedTake
from backend.fitting.corrections.types import Corrections
from backend.fitting.fit import reprojection_errors
from backend.fitting.problem import Problem
from backend.fitting.side_by_side import one_core_each
from backend.fitting.solver.coarse_to_fine import lightened
from backend.fitting.solver.levenberg_marquardt import Stage, at_bounds, minimise
from backend.fitting.state import State
from backend.fitting.terms.held import HeldTerm
from backend.fitting.terms.settled import SettledTerm
from backend.fitting.types import Fixed
from backend.fitting.windows import LENGTH, LOOKAHEAD, PINNED, frames_of

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

TOLERANCE = 1e-4  # of the energy: a pin two pixels off its place is 1 part in 2000 of fifty frames'
MAX_ITERATIONS = 12
ROUNDS = 5
"""Solves, each of which takes up from the last and counts pins more that are not within their σ yet."""
SHARP = 25.0  # times a pin's precision, so that it is met within its σ at once where the face can do it
SHARPEST = 1e4  # times a pin's precision: σ of a 200th of a pixel, which nothing outvotes
GAINS = 0.7  # of what the worst pin missed before; what brings less never brings it there
AIM = 0.5  # of a pin's σ: what sharpening aims at, so that it ends within one


@dataclass(frozen=True, eq=False)
class Resolved:
    """A take of T frames and C views solved again in part.

    ``moving (T,)`` are the frames that were solved; those of others in ``expression (T,K_ex)``, ``head_rotation
    (T,3,3)``, ``head_translation (T,3)`` and ``gaze (T,2,2)`` are the tracked take's. ``error_px (C,T,N)`` is by how
    much points miss what was seen, ``inter_ocular_px (C,T)`` what that is compared with; both NaN in frames that were
    not solved, the former also where a point is not seen or ignored. ``tracked (T,)`` are the frames that some view
    sees now. ``pins_before`` and ``pins_after`` are how far off each pin's point was and is, pixels.
    """

    moving: Bools
    expression: F64
    head_rotation: F64
    head_translation: F64
    gaze: F64
    error_px: F64
    inter_ocular_px: F64
    tracked: Bools
    pins_before: F64
    pins_after: F64
    iterations: int


def moving_frames(corrections: Corrections, count: int, frames: tuple[int, int] | None, blend: int) -> Bools:
    """(T,) the frames that corrections move, and ``frames`` (first, last) where there are corrections at all.

    A pin and a held value reach over ``blend`` frames on either side, and over as many more the result goes over into
    the take as it was; hidden points concern their own frames, and as many about them.
    """
    core = np.zeros(count, bool)
    core[[pin.frame for pin in corrections.pins] + [held.frame for held in corrections.held]] = True
    core = dilated(core, blend)
    if corrections.hiding is not None:
        core |= corrections.hiding
    moving = dilated(core, blend)
    if frames is not None and core.any():
        moving[frames[0] : frames[1] + 1] = True
    return moving


@one_core_each()
def resolve(
    tracked: TrackedTake,
    corrections: Corrections,
    *,
    frames: tuple[int, int] | None = None,
    blend: int = 8,
    length: int = LENGTH,
    on_progress: Callable[[float], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Resolved:
    """Solve the frames that ``corrections`` move, and ``frames`` (first, last), from where the take was tracked.

    The others stand, bit by bit; without corrections all do. The result depends on nothing but what is given. More than
    ``length`` frames in a row are solved in windows, which bounds memory.

    Raises:
        Cancelled: within one iteration of ``should_cancel`` saying so.
    """
    start = tracked.take.start
    moving = moving_frames(corrections, start.frame_count, frames, blend)
    solving = _Solving(tracked, corrections, moving, blend)
    done, total = 0, max(int(moving.sum()), 1)
    state, iterations = solving.start, 0
    for part in windows_of(moving, length):

        def tell(share: float, part: _Part = part, before: int = done) -> None:
            if should_cancel is not None and should_cancel():
                raise Cancelled
            if on_progress is not None:
                on_progress((before + share * (part.keep - part.first)) / total)

        state, more = solving.solve(state, part, tell)
        iterations += more
        done += part.keep - part.first
    state = blended(start, state, shares_of_new(moving, blend))
    return solving.result(state, iterations)


@dataclass(frozen=True)
class _Part:
    """Frames ``first`` to ``keep`` are solved and kept; ``begin`` to ``stop`` are looked at."""

    begin: int
    first: int
    keep: int
    stop: int


def windows_of(moving: Bools, length: int) -> Iterator[_Part]:
    """Every run of frames that move (T,) with the frames on either side that E_temp ties it to.

    Ones longer than ``length`` in parts, each of which begins where the last one ended and looks ahead.
    """
    for first, stop in runs(moving):
        for begin in range(first, stop, length):
            keep = min(begin + length, stop)
            ahead = keep + (LOOKAHEAD if keep < stop else PINNED)
            yield _Part(max(begin - PINNED, 0), begin, keep, min(ahead, len(moving)))


class _Solving:
    """The terms of the corrections, and the parts solved with them."""

    def __init__(self, tracked: TrackedTake, corrections: Corrections, moving: Bools, blend: int) -> None:
        self.take, self.tracked = tracked.take, tracked.take
        self.hidden: F64 | None = None
        self.start = tracked.take.start
        self.corrections, self.moving = corrections, moving
        start = tracked.take.start
        self.hiding = corrections.hiding
        if self.hiding is not None:
            self.take, self.hidden = with_ignored(tracked.take, corrections.ignored)
            self.start = bridged_start(start, self.hidden)
        self.pins: PinTargets | None = None
        if corrections.pins:
            self.pins = pin_targets(corrections.pins, tracked.shown, self.take.basis, start, blend)
        self.held: HeldTerm | None = None
        if corrections.held:
            self.held = held_term(corrections.held, start, self.take.origin, blend)
        self.before = np.zeros(0) if self.pins is None else self.pins.misses(start)

    def solve(self, state: State, part: _Part, tell: Callable[[float], None]) -> tuple[State, int]:
        """The state with a part's frames solved, and the iterations that it took."""
        index = np.arange(part.begin, part.stop)
        fixed = Fixed(frames=~self.moving[index] | (index < part.first), identity=True, cameras=True)
        stage = Stage(fixed, MAX_ITERATIONS, TOLERANCE)
        problem = self._problem(index)
        own = np.flatnonzero([part.first <= pin.frame < part.keep for pin in self.corrections.pins])
        sharpened, iterations, worst = np.full(len(self.corrections.pins), SHARP), 0, np.inf
        for number in range(ROUNDS):

            def on_iteration(iteration: int, _energy: float, number: int = number) -> None:
                tell(1 - 0.5 ** (number + iteration / MAX_ITERATIONS))

            pinned = self._pinned(problem, part, sharpened)
            best = minimise(pinned, frames_of(state, index), stage, on_iteration=on_iteration)
            iterations += best.iterations
            state = _with_part(state, best.state, part)
            if self.pins is None or not len(own):
                break
            excess = self.pins.misses(state)[own] / [self.corrections.pins[i].sigma for i in own]
            if excess.max() <= 1 or excess.max() > GAINS * worst:
                break
            worst = excess.max()
            sharpened[own] = np.minimum(sharpened[own] * np.maximum(excess / AIM, 1) ** 2, SHARPEST)
        return state, iterations

    def _pinned(self, problem: Problem, part: _Part, sharpened: F64) -> Problem:
        """The problem of a part's frames with its pins."""
        if self.pins is None:
            return problem
        term = self.pins.term(slice(part.begin, part.stop), sharpened, self.take.unknowns)
        return problem if term is None else replace(problem, terms=(*problem.terms, term))

    def result(self, state: State, iterations: int) -> Resolved:
        """What ``state`` says of the take."""
        index = np.flatnonzero(self.moving)
        views, frames = len(self.take.views), state.frame_count
        error = np.full((views, frames, self.take.points.count), np.nan)
        scale = np.full((views, frames), np.nan)
        if len(index):
            part = frames_of(state, index)
            error[:, index], scale[:, index] = reprojection_errors(self.take, part, index)
        return Resolved(
            moving=self.moving,
            expression=state.expression.numpy(),
            head_rotation=state.rotation.numpy(),
            head_translation=state.translation.numpy() + self.take.origin,
            gaze=state.gaze.reshape(-1, 2, 2).numpy(),
            error_px=error,
            inter_ocular_px=scale,
            tracked=self.take.found,
            pins_before=self.before,
            pins_after=self.before if self.pins is None else self.pins.misses(state),
            iterations=iterations,
        )

    def _problem(self, index: NDArray[np.int64]) -> Problem:
        """The energy of some frames, without their pins, whose minimum is the tracked take but for the corrections.

        So what is far from them stays, though the take was solved with more than is known here (skin matched between
        its views) and not to the last digit, and few points of very many will do.
        """
        tracked, start = lightened(self.tracked.problem(index)), frames_of(self.tracked.start, index)
        slope = tracked.linearise(start).frame_gradient
        slope[:, : tracked.basis.expression_count] *= ~at_bounds(tracked, start, slope)
        problem = tracked if self.take is self.tracked else lightened(self.take.problem(index))
        if self.hidden is not None and self.hiding is not None:
            problem = hiding(problem, self.hidden[index], self.start.expression[index])
            # where what held a frame is hidden, its slope would carry it off
            slope[torch.as_tensor(self.hiding[index])] = 0
        problem = replace(problem, terms=(*problem.terms, SettledTerm(start, slope)))
        if self.held is not None:
            problem = replace(problem, terms=(*problem.terms, self.held.at(index)))
        return problem


def _with_part(state: State, solved: State, part: _Part) -> State:
    """``state`` with the frames that a part keeps as they were ``solved`` (its frames from ``begin`` on)."""
    into, taken = slice(part.first, part.keep), slice(part.first - part.begin, part.keep - part.begin)
    changed: dict[str, Any] = {}
    for name in ("expression", "rotation", "translation", "gaze"):
        values = getattr(state, name).clone()
        values[into] = getattr(solved, name)[taken]
        changed[name] = values
    return replace(state, **changed)


def blended(old: State, new: State, share: F64) -> State:
    """``old`` on the way to ``new``, frame by frame by ``share (T,)``; rotations by the shortest turn."""
    weight = torch.as_tensor(share)[:, None]
    between: dict[str, Any] = {
        name: torch.where(weight < 1, torch.lerp(getattr(old, name), getattr(new, name), weight), getattr(new, name))
        for name in ("expression", "translation", "gaze")
    }
    first, last = (Rotation.from_matrix(state.rotation.numpy()) for state in (old, new))
    turn = Rotation.from_rotvec((first.inv() * last).as_rotvec() * share[:, None])
    rotation = torch.as_tensor((first * turn).as_matrix())
    return replace(old, rotation=torch.where((weight > 0)[..., None], rotation, old.rotation), **between)
