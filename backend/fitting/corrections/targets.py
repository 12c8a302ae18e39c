"""What a take's corrections ask of every frame, given the take as it was tracked: the terms of a solve in part.

All of it on the CPU, where parts of takes are solved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.corrections.fade import fades
from backend.fitting.corrections.types import HeldValue, SurfacePin, Unknown
from backend.fitting.geometry import project
from backend.fitting.point_basis import PointBasis, with_points
from backend.fitting.state import State, head_points
from backend.fitting.terms.held import HeldTerm, HeldValues
from backend.fitting.terms.pins import NEVER_FADES, PinsTerm
from backend.fitting.terms.points import PointsTerm
from backend.head_model.model import HeadModel, SurfacePoints

F64 = NDArray[np.float64]

SIGMAS = {Unknown.EXPRESSION: 1e-3, Unknown.GAZE: 1e-3, Unknown.ROTATION: 2e-4, Unknown.TRANSLATION: 1e-5}
"""σ of a value that is held: strength, radians, radians, metres. All 478 points of a face together, each pulling with
at most 0.7 per pixel (the robust kernel's), take a value off by about twice that at most."""

C = TypeVar("C", SurfacePin, HeldValue)
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, eq=False)
class PinTargets:
    """The pins of a take of T frames and C views at P distinct points.

    ``mu (C,T,P,2)`` is where the points are to be, ``share (C,T,P)`` how much of a pin's weight each frame has, 0 where
    none reaches, and ``source (C,T,P)`` the pin that it is of. ``own`` is the basis at the points, and
    ``points (n,)`` says of each of the n pins which it is of.
    """

    pins: tuple[SurfacePin, ...]
    own: PointBasis
    mu: F64
    share: F64
    source: NDArray[np.int64]
    points: NDArray[np.int64]

    def term(self, frames: slice, sharpened: F64, unknowns: CameraUnknowns) -> PinsTerm | None:
        """The pins of some of the frames, each pin's precision times ``sharpened (n,)``; None where none reaches."""
        share = self.share[:, frames]
        if not share.any():
            return None
        each = sharpened / np.array([pin.sigma for pin in self.pins]) ** 2
        precision = share * each[self.source[:, frames]]
        mu, weights = torch.as_tensor(self.mu[:, frames]), torch.as_tensor(precision)
        return PinsTerm(self.own, PointsTerm(mu, weights, NEVER_FADES, unknowns))

    def misses(self, state: State) -> F64:
        """(n,) pixels between each pin's point, as ``state`` of all frames has it, and where it was put."""
        head = _head_points(self.own, state, [pin.frame for pin in self.pins])
        found = np.empty(len(self.pins))
        for i, pin in enumerate(self.pins):
            seen = _seen(state, pin.frame, head[i, self.points[i]])
            image = _image(state, pin.view, seen)
            found[i] = np.linalg.norm(image.numpy() - pin.position)
        return found


def pin_targets(
    pins: tuple[SurfacePin, ...], shown: HeadModel, basis: PointBasis, state: State, reach: int
) -> PinTargets:
    """Where the pinned points are to be in every frame: as far from where ``state`` has them as the fading share says.

    A pin's offset from where its point was tracked is carried by the head: it turns, comes near and goes with it. Of
    pins of one point in one frame and view the last counts.
    """
    distinct = list(dict.fromkeys((pin.triangle, pin.barycentric) for pin in pins))
    at = SurfacePoints(
        np.array([triangle for triangle, _ in distinct], np.int32),
        np.array([weights for _, weights in distinct], np.float32),
    )
    own = with_points(basis, shown, at)
    frames, views = state.frame_count, len(state.cameras)
    head = _head_points(own, state, range(frames))
    mu = np.zeros((views, frames, len(distinct), 2))
    share, source = np.zeros(mu.shape[:3]), np.zeros(mu.shape[:3], np.int64)
    number = {id(pin): i for i, pin in enumerate(pins)}
    for point, group in _by(pins, lambda pin: pin.point).items():
        view, p = point[0], distinct.index((point[1], point[2]))
        shares = fades([pin.frame for pin in group], reach, frames)
        moved = head[:, p].clone()
        for pin, weight in zip(group, shares, strict=True):
            moved += torch.as_tensor(weight)[:, None] * _offset(state, pin, head[pin.frame, p])
        reached = np.flatnonzero(shares.any(axis=0))
        for t in reached:
            mu[view, t, p] = _image(state, view, _seen(state, int(t), moved[t])).numpy()
        best = shares.argmax(axis=0)
        share[view, :, p] = shares.max(axis=0)
        source[view, :, p] = np.array([number[id(pin)] for pin in group])[best]
    of_pin = np.array([distinct.index((pin.triangle, pin.barycentric)) for pin in pins])
    return PinTargets(pins, own, mu, share, source, of_pin)


def held_term(held: tuple[HeldValue, ...], state: State, origin: F64, reach: int) -> HeldTerm:
    """The values held at their frames, and the offset from ``state`` that they bring fading over those about them."""
    values = {
        Unknown.EXPRESSION: state.expression.clone(),
        Unknown.GAZE: state.gaze.clone(),
        Unknown.ROTATION: state.rotation.clone(),
        Unknown.TRANSLATION: state.translation.clone(),
    }
    precision = {kind: torch.zeros_like(value) for kind, value in values.items()}
    for (kind, place), group in _by(held, lambda value: value.channel).items():
        shares = torch.as_tensor(fades([value.frame for value in group], reach, state.frame_count))
        weight = shares.max(dim=0).values / SIGMAS[kind] ** 2
        if kind is Unknown.ROTATION:
            precision[kind] += weight[:, None, None]
            values[kind] = _turned(state.rotation, group, shares)
            continue
        width = {Unknown.EXPRESSION: 1, Unknown.GAZE: 2, Unknown.TRANSLATION: 3}[kind]
        own = slice(place * width, (place + 1) * width)
        asked = torch.tensor([value.value for value in group], dtype=torch.float64)
        asked = asked - torch.as_tensor(origin) if kind is Unknown.TRANSLATION else asked
        off = asked - values[kind][[value.frame for value in group], own]
        values[kind][:, own] += shares.T @ off
        precision[kind][:, own] = weight[:, None]
    return HeldTerm(
        HeldValues(
            expression=values[Unknown.EXPRESSION],
            gaze=values[Unknown.GAZE],
            rotation=values[Unknown.ROTATION],
            translation=values[Unknown.TRANSLATION],
            expression_precision=precision[Unknown.EXPRESSION],
            gaze_precision=precision[Unknown.GAZE],
            rotation_precision=precision[Unknown.ROTATION][:, 0, 0],
            translation_precision=precision[Unknown.TRANSLATION][:, 0],
        )
    )


def _turned(rotation: Tensor, group: list[HeldValue], shares: Tensor) -> Tensor:
    """(T,3,3): rotations turned about the head's axes by the shares of what leads to the values of ``group``."""
    now = Rotation.from_matrix(rotation.numpy())
    asked = Rotation.from_rotvec([value.value for value in group])
    off = (now[[value.frame for value in group]].inv() * asked).as_rotvec()
    return torch.as_tensor((now * Rotation.from_rotvec(shares.numpy().T @ off)).as_matrix())


def _by(corrections: Iterable[C], key: Callable[[C], K]) -> dict[K, list[C]]:
    """Corrections of one thing by what it is, each list ascending in frames; of two at one frame the last."""
    groups: dict[K, dict[int, C]] = defaultdict(dict)
    for one in corrections:
        groups[key(one)][one.frame] = one
    return {what: [own[frame] for frame in sorted(own)] for what, own in groups.items()}


def _head_points(own: PointBasis, state: State, frames: Iterable[int]) -> Tensor:
    """(n,P,3) head-space positions of a basis' points at some frames."""
    index = list(frames)
    return head_points(own, state.coefficients()[index], state.gaze[index])


def _seen(state: State, frame: int, point: Tensor) -> Tensor:
    """(3,) a head-space point at a frame in world space."""
    return state.rotation[frame] @ point + state.translation[frame]


def _image(state: State, view: int, world: Tensor) -> Tensor:
    """(2,) pixels of a world-space point in a view."""
    cameras = state.cameras
    camera = cameras.rotation[view] @ world + cameras.translation[view]
    return project(camera, cameras.log_focal[view].exp(), cameras.principal_point[view])[0]


def _offset(state: State, pin: SurfacePin, point: Tensor) -> Tensor:
    """(3,) how far a head-space point has to go, parallel to the picture, to be where a pin is: metres, head space."""
    cameras = state.cameras
    world = _seen(state, pin.frame, point)
    depth = (cameras.rotation[pin.view] @ world + cameras.translation[pin.view])[2]
    off = torch.tensor(pin.position, dtype=torch.float64) - _image(state, pin.view, world)
    along = torch.cat([off, off.new_zeros(1)]) * depth / cameras.log_focal[pin.view].exp()
    return state.rotation[pin.frame].T @ (cameras.rotation[pin.view].T @ along)
