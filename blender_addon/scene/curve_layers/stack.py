"""The layers of a take applied to values: weights of actions, gaze, head pose. Numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import axes, splice
from . import regions
from .settings import Layer, LayerSettings
from .smoothing import smoothed

F64 = NDArray[np.float64]

FAST_WEIGHT = 0.1
"""Of a weight's 0 to 1, see ``smoothed``. Tracked weights jitter by 0.004 to 0.009 (σ, lp_d3 and grid_bbaf2n), blinks
go 0.4 to 0.7 in a frame: at σ of 2 frames a blink of 0.86 keeps 0.84, by the Gaussian alone 0.69."""
FAST_GAZE = np.radians(1.5)
"""Radians, see ``smoothed``: a choice; eyes at rest jitter by less, and dart by more in a frame."""


@dataclass(frozen=True)
class Affine:
    """What is over an action where it needs no other frame and no other action: ``gain`` · value + ``shift``."""

    gain: float
    shift: float

    def of(self, values: F64) -> F64:
        """The values."""
        return self.gain * values + self.shift


def mirrored(settings: LayerSettings, names: Sequence[str]) -> set[str]:
    """Those of some actions that symmetry changes."""
    pairs = regions.pairs_of(tuple(names)) if settings.symmetry > 0 else ()
    return {name for pair in pairs for name in (pair.left, pair.right)}


def is_plain(settings: LayerSettings, name: str, mirrored_names: set[str]) -> bool:
    """True where the layers leave an action as it is."""
    return not settings.on or (settings.over(name) == Layer() and settings.zero is None and name not in mirrored_names)


def affine(layer: Layer, zero: float) -> Affine:
    """A layer without its smoothing, over an action whose weight on the zero frames is ``zero``."""
    return Affine(0.0, 0.0) if layer.mute else Affine(layer.gain, layer.offset - layer.gain * zero)


def weights(times: F64, values: F64, names: Sequence[str], settings: LayerSettings, zero: F64, bounds: F64) -> F64:
    """Weights (T,K) of actions ``names``, at ``times (T,)`` in frames of the footage, under the layers.

    ``zero (K,)`` is what becomes zero, ``bounds (K,2)`` what the weights are kept within.
    """
    layers = [settings.over(name) for name in names]
    out = values - zero
    columns = {name: index for index, name in enumerate(names)}
    for pair in regions.pairs_of(tuple(names)) if settings.symmetry > 0 else ():
        left, right = columns[pair.left], columns[pair.right]
        out[:, [left, right]] = _mirrored(out[:, left], out[:, right], settings, sideways=pair.sideways)
    sigma = np.array([layer.smoothing for layer in layers])
    out = smoothed(times, out, sigma, FAST_WEIGHT if settings.keep_fast else None)
    gain, offset = (np.array([getattr(layer, field) for layer in layers]) for field in ("gain", "offset"))
    out = gain * out + offset
    out[:, [layer.mute for layer in layers]] = 0.0
    return np.clip(out, bounds[:, 0], bounds[:, 1])


def _mirrored(left: F64, right: F64, settings: LayerSettings, *, sideways: bool) -> F64:
    """Both sides (T,2) of a pair; of what moves to one side or the other there is no side to copy."""
    wanted = (left + right) / 2
    if not sideways and settings.symmetry_from != "BOTH":
        wanted = left if settings.symmetry_from == "LEFT" else right
    return np.stack([side + settings.symmetry * (wanted - side) for side in (left, right)], axis=1)


def gaze(times: F64, angles: Mapping[str, F64], settings: LayerSettings) -> dict[str, F64]:
    """Euler angles (T,3) of each eye, as ``axes.gaze_eulers`` orders them, under the layers of the gaze."""
    layer, eyes = settings.region(regions.GAZE), list(angles)
    joined = np.concatenate([angles[eye] for eye in eyes], axis=1)
    sigma = np.full(joined.shape[1], layer.smoothing)
    joined = smoothed(times, joined, sigma, float(FAST_GAZE) if settings.keep_fast else None, together=True)
    yaw, pitch = settings.gaze_turn
    turn = np.array([pitch, 0.0, yaw])
    gain = 0.0 if layer.mute else layer.gain
    return {eye: gain * joined[:, 3 * index : 3 * index + 3] + turn for index, eye in enumerate(eyes)}


def gaze_is_plain(settings: LayerSettings) -> bool:
    """True where the layers leave the gaze as it is."""
    return not settings.on or (settings.region(regions.GAZE) == Layer() and settings.gaze_turn == (0.0, 0.0))


def pose_is_plain(settings: LayerSettings) -> bool:
    """True where the layers leave the head's pose as it is."""
    return not settings.on or settings.region(regions.POSE) == Layer()


def head_pose(times: F64, rotations: F64, places: F64, settings: LayerSettings) -> tuple[F64, F64]:
    """Head rotations (T,3,3) and places (T,3), smoothed, and more or less of their way from their mean."""
    layer = settings.region(regions.POSE)
    turns = axes.rotation_values(rotations, "QUATERNION")
    if layer.smoothing > 0:
        turns = smoothed(times, turns, np.full(4, layer.smoothing))
        places = smoothed(times, places, np.full(3, layer.smoothing))
    gain = 0.0 if layer.mute else layer.gain
    out = splice.matrices(turns)
    if gain != 1.0:
        middle = splice.matrices(_mean(turns)[None])[0]
        out = middle @ _powers(middle.T @ out, gain)
        places = places.mean(axis=0) + gain * (places - places.mean(axis=0))
    return out, places


def _mean(quaternions: F64) -> F64:
    """The quaternion (4,) nearest to all of (T,4), whichever sign each has."""
    return np.asarray(np.linalg.eigh(quaternions.T @ quaternions)[1][:, -1])


def _powers(rotations: F64, gain: float) -> F64:
    """Rotations (T,3,3) about the same axes by ``gain`` times their angles."""
    w, *xyz = axes.rotation_values(rotations, "QUATERNION").T
    vector = np.stack(xyz, axis=1)
    vector, w = np.where(w[:, None] < 0, -vector, vector), np.abs(w)
    sine = np.linalg.norm(vector, axis=1)
    angle = 2 * np.arctan2(sine, w)
    return axes.rotation_matrices(vector / np.where(sine > 0, sine, 1.0)[:, None] * (gain * angle)[:, None])
