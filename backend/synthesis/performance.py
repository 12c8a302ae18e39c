"""A performance that is known exactly: smooth curves over named actions, head turns, blinks and gaze. Pure numerics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.head_model.model import HeadModel, posed_vertices

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FACING_CAMERA = Rotation.from_rotvec([np.pi, 0.0, 0.0])
"""Head space to camera space of a head that looks straight into the camera: +y up becomes y down."""


@dataclass(frozen=True, eq=False)
class Performance:
    """The truth of a take of T frames: who, what they do, and the camera that sees it (conventions of ``Track``).

    World space is camera space (OpenCV axes, metres): world = R · head + translation. ``identity (K_id,)``,
    ``expression (T,K_ex)``, ``head_rotation (T,3)`` axis-angle radians, ``head_translation (T,3)``, ``gaze (T,2,2)``
    radians, ``image_size`` (width, height), ``focal_px (T,)`` and ``principal_point (2,)`` in pixels.
    """

    identity: F32
    expression: F32
    head_rotation: F64
    head_translation: F64
    gaze: F32
    focal_px: F64
    principal_point: F64
    image_size: tuple[int, int]
    frame_rate: float

    @property
    def frame_count(self) -> int:
        return len(self.expression)


@dataclass(frozen=True)
class Gesture:
    """One smooth rise and fall of some actions: centre and length in seconds, and how far it goes."""

    actions: tuple[str, ...]
    centre: float
    length: float
    amount: float


def _both(name: str) -> tuple[str, str]:
    return f"{name}Left", f"{name}Right"


DEMO_GESTURES = (
    Gesture(_both("eyeBlink"), 0.50, 0.32, 1.0),
    Gesture(("browInnerUp", *_both("browOuterUp")), 0.85, 0.9, 0.7),
    Gesture(_both("mouthSmile"), 1.05, 1.1, 0.75),
    Gesture(_both("cheekSquint"), 1.05, 1.1, 0.35),
    Gesture(("jawOpen",), 1.35, 0.6, 0.45),
    Gesture(_both("eyeBlink"), 1.72, 0.32, 1.0),
    Gesture(("mouthFunnel",), 1.85, 0.6, 0.5),
    Gesture(("jawOpen",), 1.90, 0.6, 0.2),
    Gesture(_both("browDown"), 2.15, 0.8, 0.6),
    Gesture(("mouthPucker",), 2.30, 0.6, 0.5),
    Gesture(("mouthSmileLeft", "mouthDimpleLeft"), 2.60, 0.7, 0.6),
    Gesture(_both("eyeBlink"), 2.68, 0.32, 1.0),
)


def swell(seconds: F64, centre: float, length: float) -> F64:
    """A smooth bump (T,): 0 outside ``centre`` ± ``length``/2, 1 at the centre (a raised cosine)."""
    phase = np.clip(np.abs(seconds - centre) / (0.5 * length), 0.0, 1.0)
    return 0.5 + 0.5 * np.cos(np.pi * phase)


def expression_curves(names: tuple[str, ...], gestures: Iterable[Gesture], gaze: NDArray[Any], seconds: F64) -> F32:
    """Expression coefficients (T,K) in 0…1: the gestures, and the lids following ``gaze (T,2,2)``.

    Actions that ``names`` lacks are left out. Gestures of one action add up and are cut at 1.
    """
    curves = np.zeros((len(seconds), len(names)), np.float64)
    index = {name: i for i, name in enumerate(names)}
    for gesture in gestures:
        for action in gesture.actions:
            if action in index:
                curves[:, index[action]] += gesture.amount * swell(seconds, gesture.centre, gesture.length)
    for side, actions in enumerate(LOOK_ACTIONS):
        signed = np.stack([gaze[:, side, 0], -gaze[:, side, 0], gaze[:, side, 1], -gaze[:, side, 1]])
        for action, angle in zip(actions, signed, strict=True):
            if action in index:
                curves[:, index[action]] = np.clip(angle / FULL_LOOK_ANGLE, 0.0, 1.0)
    return np.clip(curves, 0.0, 1.0).astype(np.float32)


def demo_performance(
    head: HeadModel,
    *,
    seed: int = 11,
    frame_count: int = 75,
    frame_rate: float = 25.0,
    side: int = 512,
    focal_px: float = 700.0,
    distance: float = 0.55,
) -> Performance:
    """The demo clip's truth: a person drawn with ``seed`` who blinks, smiles, speaks and looks around.

    ``side`` is the square image's side in pixels, ``distance`` the camera's from the face in metres.
    """
    seconds = np.arange(frame_count) / frame_rate
    identity = np.random.default_rng(seed).standard_normal(len(head.shape_basis)).astype(np.float32)
    turn = 2 * np.pi * seconds
    yaw = np.deg2rad(18.0) * np.sin(turn / 2.6)
    pitch = np.deg2rad(7.0) * np.sin(turn / 1.9 + 0.6)
    roll = np.deg2rad(5.0) * np.sin(turn / 3.1 + 0.3)
    head_turn = Rotation.from_euler("YXZ", np.stack([yaw, pitch, roll], axis=1))
    # The eyes stay on the camera for half of every turn of the head, and glance up and aside in between.
    glance = np.deg2rad(12.0) * swell(seconds, 2.0, 0.9)
    gaze_yaw = -0.5 * yaw + glance
    gaze_pitch = 0.5 * pitch + 0.5 * glance
    gaze = np.repeat(np.stack([gaze_yaw, gaze_pitch], axis=-1)[:, None], 2, axis=1).astype(np.float32)
    rotation = FACING_CAMERA * head_turn
    neutral = head.neutral(identity)
    middle = neutral[head.regions["face"]].mean(axis=0).astype(np.float64)
    place = np.stack(
        [0.015 * np.sin(turn / 2.2), 0.008 * np.sin(turn / 1.6), distance + 0.04 * np.sin(turn / 3.0)], axis=1
    )
    return Performance(
        identity=identity,
        expression=expression_curves(head.expression_names, DEMO_GESTURES, gaze, seconds),
        head_rotation=rotation.as_rotvec(),
        head_translation=place - rotation.apply(middle),
        gaze=gaze,
        focal_px=np.full(frame_count, focal_px),
        principal_point=np.array([side / 2, side / 2]),
        image_size=(side, side),
        frame_rate=frame_rate,
    )


def seen_from(performance: Performance, world_to_camera: F64, focal_px: float) -> Performance:
    """The same performance as another camera of the same picture size sees it: its world is that camera's space.

    ``world_to_camera (3,4)`` is [R | t] of the other camera in the performance's world, metres.
    """
    turn = Rotation.from_matrix(world_to_camera[:, :3])
    return replace(
        performance,
        head_rotation=(turn * Rotation.from_rotvec(performance.head_rotation)).as_rotvec(),
        head_translation=turn.apply(performance.head_translation) + world_to_camera[:, 3],
        focal_px=np.full(performance.frame_count, focal_px),
    )


def world_vertices(head: HeadModel, performance: Performance) -> F64:
    """Vertices (T,V,3) in world space, metres."""
    posed = posed_vertices(head, head.neutral(performance.identity), performance.expression, performance.gaze)
    rotation = Rotation.from_rotvec(performance.head_rotation).as_matrix()
    return np.einsum("tij,tvj->tvi", rotation, posed.astype(np.float64)) + performance.head_translation[:, None]
