"""Long takes: what all frames share comes from key frames, and the frames from windows that meet without a seam.

A take solved whole needs memory in proportion to its frames (about 0.35 MB each for the open head). Above ``WHOLE``


1. identity, δ_d and cameras are solved on key frames, spread over time and pose, without E_temp, and stay as they are;
2. frames are solved in windows. A window's first two frames are pinned to what the window before it found, so that
   every triple of E_temp counts exactly once, and it looks ahead over frames that are then dropped: a frame answers to
   those after it by a few frames only, because E_temp is a short filter where faces are seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.prepare import Take
from backend.fitting.problem import found_frames
from backend.fitting.solver.coarse_to_fine import minimise_coarse_to_fine
from backend.fitting.solver.levenberg_marquardt import Minimum, Stage
from backend.fitting.state import State
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import Fixed
from backend.memory import at_once

WHOLE = 1500  # frames: about 0.8 GB for the open head, 3 GB for one of 300 shapes and 100 expressions
LENGTH = 600  # frames kept of a window: long enough that what is solved twice hardly counts
LOOKAHEAD = 30  # seen frames after those; one second, ten times the filter's reach
KEY_FRAMES = 200  # more pose and expression than identity has unknowns; a few seconds to solve
PINNED = 2  # E_temp couples three frames in a row

OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Window:
    """Frames ``first`` to ``stop`` are solved together; the first ``pinned`` stand, those up to ``keep`` are kept."""

    first: int
    pinned: int
    keep: int
    stop: int


@dataclass(frozen=True)
class WindowSizes:
    """The sizes (frames) by which a long take is cut."""

    length: int = LENGTH
    lookahead: int = LOOKAHEAD
    key_frames: int = KEY_FRAMES


def windows(found: NDArray[np.bool_], sizes: WindowSizes) -> list[Window]:
    """Windows over the frames from the first to the last that was found (``found (T,)``), all about equally long.

    Looking ahead counts found frames only: a gap is bridged from both its sides, however long it is.
    """
    seen = np.flatnonzero(found)
    begin, end = int(seen[0]), int(seen[-1]) + 1
    count = max(1, math.ceil((end - begin) / sizes.length))
    borders = np.linspace(begin, end, count + 1).round().astype(int).tolist()
    cut = []
    for start, keep in pairwise(borders):
        after = seen[seen >= keep][: sizes.lookahead]
        stop = int(after[-1]) + 1 if len(after) else keep
        pinned = min(PINNED, start - begin)
        cut.append(Window(start - pinned, pinned, keep, stop))
    return cut


def key_frames(take: Take, count: int) -> NDArray[np.int64]:
    """Ascending indices of about ``count`` frames, as different as can be in time, head rotation and distance.

    Every view chooses its share among the frames in which it sees the face, the first one nearest to the middle of all
    poses, each further one farthest from those chosen (Gonzalez 1985); no chance is involved.
    ``FitOptions.key_frames`` are among them.
    """
    turn = Rotation.from_matrix(take.start.rotation.cpu().numpy())
    angles = (turn.mean().inv() * turn).as_rotvec()
    camera = take.start.cameras
    depth = take.start.translation @ camera.rotation[0, 2] + camera.translation[0, 2]
    time = np.linspace(0.0, 2.0, len(angles))  # the whole take counts as much as a turn by 115°
    features = np.concatenate([angles, depth.clamp_min(1e-3).log().cpu().numpy()[:, None], time[:, None]], axis=1)
    per_view = found_frames(take.views)
    chosen = set(take.options.key_frames)
    for found in per_view:
        candidates = np.flatnonzero(found)
        share = min(math.ceil(count / len(per_view)), len(candidates))
        if share:
            chosen.update(candidates[_farthest(features[candidates], share)].tolist())
    return np.array(sorted(chosen), np.int64)


def _farthest(features: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    middle = np.median(features, axis=0)
    chosen = [int(np.linalg.norm(features - middle, axis=1).argmin())]
    distance = np.linalg.norm(features - features[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return np.array(chosen, np.int64)


def frames_of(state: State, frames: NDArray[np.int64]) -> State:
    """The same identity and cameras with only these frames."""
    index = torch.as_tensor(frames, device=state.expression.device)
    return replace(
        state,
        expression=state.expression[index],
        rotation=state.rotation[index],
        translation=state.translation[index],
        gaze=state.gaze[index],
    )


def _put(state: State, first: int, part: State, skip: int, stop: int) -> None:
    """Write ``part``, which begins at the take's frame ``first``, into ``state`` from its own ``skip`` to ``stop``."""
    into, taken = slice(first + skip, stop), slice(skip, stop - first)
    for name in ("expression", "rotation", "translation", "gaze"):
        getattr(state, name)[into] = getattr(part, name)[taken]


def with_shared(take: Take, solved: State, fixed: Fixed) -> State:
    """The start with identity and cameras as solved, and what may move as far away as the new focal length says."""
    start, old = take.start, take.start.cameras
    translation = start.translation.clone()
    if take.views[0].camera.world_to_camera is None and not fixed.pose:
        seen = translation @ old.rotation[0].T + old.translation[0]
        seen[:, 2] *= (solved.cameras.log_focal[0] - old.log_focal[0]).exp()
        translation = (seen - solved.cameras.translation[0]) @ solved.cameras.rotation[0]
        if fixed.frames is not None:
            held = torch.as_tensor(fixed.frames, device=translation.device)
            translation[held] = start.translation[held]
    return replace(
        start,
        identity=solved.identity,
        cameras=solved.cameras,
        translation=translation,
        expression=start.expression.clone(),
        rotation=start.rotation.clone(),
        gaze=start.gaze.clone(),
    )


def solve_shared(take: Take, stage: Stage, count: int, on_iteration: Callable[[int, float], None]) -> Minimum:
    """Identity, δ_d and cameras from key frames; the state returned has those frames only."""
    keys = key_frames(take, count)
    problem = take.problem(keys).without(TemporalTerm)
    return minimise_coarse_to_fine(problem, frames_of(take.start, keys), stage.at(keys), on_iteration=on_iteration)


def solve_window(
    take: Take, state: State, stage: Stage, window: Window, on_iteration: Callable[[int, float], None] | None = None
) -> None:
    """Solve a window's frames given ``state``'s identity, cameras and pinned frames; writes those kept into it."""
    still = CameraUnknowns.none(len(take.views), take.unknowns.origin)
    index = np.arange(window.first, window.stop)
    held = index < window.first + window.pinned
    if stage.fixed.frames is not None:
        held |= stage.fixed.frames[index]
    best = minimise_coarse_to_fine(
        take.problem(index, still),
        frames_of(state, index),
        replace(stage, fixed=replace(stage.fixed, frames=held, identity=True, cameras=True)),
        on_iteration=on_iteration,
    )
    _put(state, window.first, best.state, window.pinned, window.keep)


def minimise_key_frames(take: Take, stage: Stage, on_iteration: Callable[[int, float], None]) -> Minimum:
    """A long take's identity, δ_d and cameras from key frames; its frames are left at their start.

    The energies are the key frames'.
    """
    solved = solve_shared(take, stage, KEY_FRAMES, on_iteration)
    return Minimum(with_shared(take, solved.state, stage.fixed), solved.energy, solved.iterations)


def minimise_in_windows(
    take: Take,
    stage: Stage,
    *,
    sizes: WindowSizes | None = None,
    on_progress: OnProgress | None = None,
) -> Minimum:
    """Minimise a long take's energy; memory is bounded by ``sizes``, not by the take.

    The energy reported is the whole take's, before and after. ``on_progress(fraction, words)`` is called in every
    iteration and may raise to cancel.
    """
    sizes = sizes or WindowSizes(length=at_once(LENGTH))
    held = stage.fixed.frames
    cut = windows(take.found if held is None else take.found | held, sizes)
    iterations = 0

    def report(done: float, words: str) -> Callable[[int, float], None]:
        def on_iteration(iteration: int, _energy: float) -> None:
            nonlocal iterations
            iterations += 1
            if on_progress is not None:
                # Ten iterations are usual, and each brings half of what is left of this part.
                on_progress((done + 1 - 0.5 ** ((iteration - 1) / 3)) / (len(cut) + 1), words)

        return on_iteration

    solved = solve_shared(take, stage, sizes.key_frames, report(0, "key frames")).state
    state = with_shared(take, solved, stage.fixed)
    for number, window in enumerate(cut):
        solve_window(take, state, stage, window, report(number + 1, f"window {number + 1} of {len(cut)}"))
    whole = take.problem()
    return Minimum(state, (whole.energy(take.start), whole.energy(state)), iterations)
