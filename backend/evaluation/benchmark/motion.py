"""The benchmark's performances: smooth curves over the actions, gaze, and turns of the head, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from backend.evaluation.benchmark.head import NECK_PIVOT, BenchmarkHead, FaceMotion
from backend.evaluation.benchmark.repertoire import REPERTOIRES, Pose
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.synthesis.performance import FACING_CAMERA, swell

F64 = NDArray[np.float64]
MAX_ANGLES = np.deg2rad((60.0, 35.0))
"""The farthest that a turning head goes to either side, and up and down (seeds/000 C)."""

LONG_ENOUGH = 3.0  # seconds; both sides, up and down in less would be faster than people turn


def perform(
    ict: BenchmarkHead, spec: SequenceSpec, face: NDArray[np.floating[Any]], place: F64, seconds: F64
) -> FaceMotion:
    """The performance at ``seconds (n,)``, which may lie between frames.

    ``face (3,)`` is the middle of the person's face in head space and ``place (3,)`` where in camera space it rests.
    """
    duration = spec.frame_count / spec.frame_rate
    # Drawn at the frames' times whatever is asked for, so that the shutter's moments see the same performance.
    random = spec.random("motion")
    curves = np.zeros((len(seconds), len(ict.expression_names)))
    own = REPERTOIRES[spec.people]
    if spec.performance == "extreme":
        _pose_to_pose(curves, ict, seconds, duration, random, own.extremes, own.hold, own.change, least=0.85)
    else:
        loudness = {"speech": 1.0, "gaze": 0.15, "turns": 0.6}[spec.performance]
        _pose_to_pose(curves, ict, seconds, duration, random, own.visemes, 0.03, 0.14, 0.6, loudness)
        _brows(curves, ict, seconds, duration, random)
    yaw, pitch, roll, sway = _head(spec, seconds, duration, random)
    gaze = _gaze(spec, seconds, duration, yaw, pitch, random)
    blink = _blinks(seconds, duration, 0.55 if spec.performance == "gaze" else 2.2, random)
    _lids(curves, ict, gaze, blink)
    trunk = FACING_CAMERA
    rotation = trunk * Rotation.from_euler("YXZ", np.stack([yaw, -pitch, roll], axis=1))
    pivot = np.array(NECK_PIVOT)
    base = place + trunk.apply(pivot - face)
    return FaceMotion(
        expression=np.clip(curves, 0, 1).astype(np.float32),
        gaze=np.repeat(gaze[:, None], 2, axis=1).astype(np.float32),
        rotation=rotation.as_matrix(),
        translation=base + sway - rotation.apply(pivot),
        trunk_rotation=trunk.as_matrix(),
        trunk_translation=base - trunk.apply(pivot),
    )


def _columns(ict: BenchmarkHead, action: str) -> list[int]:
    """The columns of an action; one without a side means both sides."""
    names = ict.expression_names
    found = [names.index(name) for name in (action, f"{action}_L", f"{action}_R") if name in names]
    if not found:
        raise ValueError(f"the ICT head has no action {action!r}")
    return found


def _pose_to_pose(
    curves: F64,
    ict: BenchmarkHead,
    seconds: F64,
    duration: float,
    random: np.random.Generator,
    poses: Sequence[Pose],
    hold: float,
    change: float,
    least: float,
    loudness: float = 1.0,
) -> None:
    """Add poses in random order, each held and then changed to the next, at ``least``…1 of its strength."""
    times, keys, now = [-1.0], [np.zeros(curves.shape[1])], 0.0
    order: list[int] = []
    while now < duration + 1:
        order = order or list(random.permutation(len(poses)))
        pose, strength = poses[order.pop()], loudness * random.uniform(least, 1.0)
        key = np.zeros(curves.shape[1])
        for action, amount in pose.items():
            key[_columns(ict, action)] = strength * amount
        now += change * random.uniform(0.7, 1.3)
        end = now + hold * random.uniform(0.7, 1.3)
        times += [now, end]
        keys += [key, key]
        now = end
    curves += PchipInterpolator(times, np.stack(keys))(seconds)


def _brows(curves: F64, ict: BenchmarkHead, seconds: F64, duration: float, random: np.random.Generator) -> None:
    for _ in range(max(1, round(duration / 1.2))):
        action = ("browInnerUp", "browOuterUp", "browDown", "eyeSquint", "mouthSmile")[random.integers(5)]
        bump = random.uniform(0.2, 0.7) * swell(seconds, random.uniform(0, duration), random.uniform(0.5, 1.2))
        curves[:, _columns(ict, action)] += bump[:, None]


def _head(spec: SequenceSpec, seconds: F64, duration: float, random: np.random.Generator) -> tuple[F64, F64, F64, F64]:
    """Yaw, pitch (up > 0), roll (n,) in radians and sway (n,3) in metres."""
    roll = np.deg2rad(random.uniform(2, 7)) * _wander(seconds, random)
    sway = np.stack([_wander(seconds, random) for _ in range(3)], axis=1) * (0.006, 0.004, 0.008)
    if spec.performance != "turns":
        reach = np.deg2rad({"speech": 12.0, "gaze": 6.0, "extreme": 10.0}[spec.performance])
        resting = np.deg2rad(random.uniform(-10, 10, 2))
        return (
            resting[0] + reach * _wander(seconds, random),
            0.6 * (resting[1] + reach * _wander(seconds, random)),
            roll,
            sway,
        )
    stops = MAX_ANGLES * _turn_stops(duration, random)
    travel = np.abs(np.diff(stops, axis=0)).max(axis=1) + np.deg2rad(8.0)
    times = duration * np.concatenate([[0.0], np.cumsum(travel) / travel.sum()])
    yaw, pitch = PchipInterpolator(times, stops)(np.clip(seconds, 0.0, duration)).T
    return yaw, pitch, roll, sway


def _turn_stops(duration: float, random: np.random.Generator) -> F64:
    """(n,2) shares of the full yaw and pitch that a head visits in turn; a short take sees one side only."""
    side, tilt = random.choice((-1.0, 1.0), 2)
    wide, other, high, low = random.uniform(0.88, 1.0, 4)
    stops = [(0, 0), (0, 0), (side * wide, 0.15), (side * wide, -0.1)]
    if duration >= LONG_ENOUGH:
        stops += [(-side * other, 0.1), (-side * 0.25, tilt * high), (side * 0.2, -tilt * low), (0, 0)]
    else:
        stops += [(side * 0.3, 0.6 * tilt)]
    return np.array(stops)


def _gaze(spec: SequenceSpec, seconds: F64, duration: float, yaw: F64, pitch: F64, random: np.random.Generator) -> F64:
    """(n,2) yaw and pitch in the head: saccades, or eyes that stay on the camera as far as they reach."""
    reach = np.deg2rad((26.0, 16.0)) if spec.performance == "gaze" else np.deg2rad((7.0, 4.0))
    times, targets, now = [-1.0], [np.zeros(2)], 0.0
    while now < duration + 1:
        target = random.uniform(-1, 1, 2) * reach
        rest = random.uniform(0.25, 0.7)
        times += [now, now + 0.05, now + 0.05 + rest]
        targets += [targets[-1], target, target]
        now += 0.06 + rest
    saccades = PchipInterpolator(times, np.stack(targets))(seconds)
    hold_camera = 0.6 if spec.performance == "turns" else 0.9
    return np.clip(saccades - hold_camera * np.stack([yaw, pitch], axis=1), *np.deg2rad([[-28, -20], [28, 18]]))


def _blinks(seconds: F64, duration: float, every: float, random: np.random.Generator) -> F64:
    closed, now = np.zeros(len(seconds)), random.uniform(0.2, 0.8)
    while now < duration:
        closed = np.maximum(closed, swell(seconds, now, random.uniform(0.22, 0.38)))
        now += every * random.uniform(0.7, 1.5)
    return closed


def _lids(curves: F64, ict: BenchmarkHead, gaze: F64, blink: F64) -> None:
    """Let the lids follow the gaze and close on a blink, whatever else the eyes do."""
    signed = np.stack([gaze[:, 0], -gaze[:, 0], gaze[:, 1], -gaze[:, 1]]) / FULL_LOOK_ANGLE
    for side, actions in zip("LR", LOOK_ACTIONS, strict=True):
        lid = _columns(ict, f"eyeBlink_{side}")
        curves[:, lid] = np.maximum(curves[:, lid], blink[:, None])
        opened = 1 - np.clip(curves[:, lid[0]], 0, 1)
        for action, angle in zip(actions, signed, strict=True):
            name = action.replace("Left", f"_{side}").replace("Right", f"_{side}")
            curves[:, _columns(ict, name)[0]] = np.clip(angle, 0, 1) * opened
        for action in ("eyeWide", "eyeSquint"):
            curves[:, _columns(ict, f"{action}_{side}")[0]] *= opened


def _wander(seconds: F64, random: np.random.Generator) -> F64:
    """A slow curve (n,) of about −1…1."""
    phases, periods = random.uniform(0, 2 * np.pi, 3), random.uniform(1.1, 3.5, 3)
    waves = np.sin(2 * np.pi * seconds[:, None] / periods + phases) * (0.5, 0.3, 0.2)
    return np.asarray(waves.sum(axis=1))
