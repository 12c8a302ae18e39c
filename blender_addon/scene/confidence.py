"""Confidence of each frame of a built take: read back from its curves, for the panel and for jumping there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat, grades
from ..vendor import take as contract
from . import animation
from . import ownership as replace

LOW_CONFIDENCE = 2.0
"""A frame is of low confidence where its uncertainty or its error is more than this times the take's median."""
SAME_FRAME = 0.5
WORST_APART = 0.5
"""Seconds between two of the worst frames: what is nearer is the same trouble."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Keys of one property: ``frames (n,)`` ascending and ``values (n,)``."""

    frames: F64
    values: F64

    def at(self, frame: float) -> float | None:
        """The value keyed on a frame, None where nothing is."""
        if not len(self.frames):
            return None
        nearest = int(np.abs(self.frames - frame).argmin())
        return float(self.values[nearest]) if abs(self.frames[nearest] - frame) <= SAME_FRAME else None


@dataclass(frozen=True, eq=False)
class Confidence:
    """Confidence of a take's frames: errors in percent of the inter-ocular distance, uncertainty in millimetres."""

    error: Curve
    uncertainty: Curve
    views: tuple[tuple[replace.ShownView, Curve | None], ...]  # None where the take has one view only
    skin: Curve | None = None  # by how much the head misses skin that was followed; none, or empty, where none was

    @property
    def has_skin(self) -> bool:
        """Whether the skin was followed from frame to frame."""
        return self.skin is not None and len(self.skin.frames) > 0

    def is_pictured(self, frame: int) -> bool:
        """Whether there is a picture of a frame of the scene: of a head of photographs none shows it at rest."""
        return self.error.at(frame) != contract.NO_PICTURE

    def sentence(self, frame: int) -> str:
        """One line on a frame of the scene."""
        error, uncertainty = self.error.at(frame), self.uncertainty.at(frame)
        skin = None if self.skin is None else self.skin.at(frame)
        if error is None:
            return f"Frame {frame}: outside the take"
        if error == contract.NOT_TRACKED:
            return f"Frame {frame}: no face was found"
        if error == contract.NO_PICTURE:
            at_rest = "the head at rest, which " if frame <= self.error.frames[0] else ""
            return f"Frame {frame}: {at_rest}no picture shows"
        known = f"({grades.of_error(error, with_skin=self.has_skin)})"
        seen = "" if skin is None else f", {skin:.1f} % of matched skin"
        text = f"Frame {frame}: error {error:.1f} % {known}{seen}"
        if uncertainty is None:
            return text
        return f"{text}, uncertainty {uncertainty:.1f} mm ({grades.of_uncertainty(uncertainty)})"

    def low_confidence_ranges(self) -> list[tuple[float, float]]:
        """First and last frame of each range of low-confidence frames, in order.

        Of low confidence is a frame on which no face was found, or whose uncertainty or error is more than
        ``LOW_CONFIDENCE`` times the median over the take's frames with a face. Frames that follow each other make one
        range.
        """
        frames, errors = self.error.frames, self.error.values
        lost, tracked = errors == contract.NOT_TRACKED, errors >= 0
        low_confidence = lost | _far_above_median(errors, tracked)
        known = np.isin(frames, self.uncertainty.frames)
        if known.any():
            values = np.full(len(frames), np.nan)
            values[known] = self.uncertainty.values[np.isin(self.uncertainty.frames, frames)]
            low_confidence |= _far_above_median(values, known & tracked)
        starts = np.flatnonzero(low_confidence & ~np.r_[False, low_confidence[:-1]])
        ends = np.flatnonzero(low_confidence & ~np.r_[low_confidence[1:], False])
        return [(float(frames[first]), float(frames[last])) for first, last in zip(starts, ends, strict=True)]

    def worst_frames(self, frame_rate: float) -> list[float]:
        """The frames at which the error is a local maximum, the worst first.

        None is nearer than ``WORST_APART`` to a worse one, at ``frame_rate`` (scene frames per second). Frames on which
        no face was found, or of which there is no picture, have no error. Of frames that are equally bad in a row the
        first one counts.
        """
        tracked = self.error.values >= 0
        frames, errors = self.error.frames[tracked], self.error.values[tracked]
        starts = np.flatnonzero(np.r_[True, errors[1:] != errors[:-1]][: len(errors)])
        level = errors[starts]
        rises, falls = np.r_[True, level[1:] > level[:-1]], np.r_[level[:-1] > level[1:], True]
        peaks = starts[(rises & falls)[: len(level)]]
        chosen: list[float] = []
        for frame in frames[peaks[np.argsort(-errors[peaks], kind="stable")]]:
            if all(abs(frame - other) >= WORST_APART * frame_rate for other in chosen):
                chosen.append(float(frame))
        return chosen


def _far_above_median(values: F64, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not counted.any():
        return np.zeros(len(values), bool)
    return counted & (np.nan_to_num(values) > LOW_CONFIDENCE * float(np.median(values[counted])))


def confidence_of(collection: Any) -> Confidence | None:
    """Confidence of a take's frames; None where its armature, or that armature's animation, is gone."""
    armature = collection.get(replace.ARMATURE)
    if not isinstance(armature, bpy.types.Object):
        return None
    curves = {curve.data_path: curve for curve in compat.action_curves(armature)}
    error = curves.get(animation.custom_path(contract.TRACKING_ERROR.name))
    if error is None:
        return None
    views = replace.shown_views(collection)
    return Confidence(
        _read(error),
        _read(curves.get(animation.custom_path(contract.UNCERTAINTY.name))),
        tuple(
            (view, _read(curves.get(animation.custom_path(animation.of_view(contract.VIEW_ERROR, view.name).name))))
            if len(views) > 1
            else (view, None)
            for view in views
        ),
        _read(curves.get(animation.custom_path(contract.SKIN_ERROR.name))),
    )


def _read(curve: Any) -> Curve:
    if curve is None:
        return Curve(np.zeros(0), np.zeros(0))
    keys = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", keys)
    frames, values = keys.astype(np.float64).reshape(-1, 2).T
    return Curve(frames, values)
