"""Which curves of a take the layers act on, and what their keys are under them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ... import compat
from ...keys import Keys
from .. import armature, axes, ownership, shape, timing
from .. import versions_of_take as versions
from . import stack
from .bezier import evaluated
from .settings import LayerSettings
from .store import Path, Store, content, with_values

F64 = NDArray[np.float64]

ARKIT = "ARKit"
"""The group of the curves of the 52 weights that are custom properties."""
_PROPERTY = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')


class Course(Protocol):
    """How the layers act on the curves of one Action."""

    @property
    def plain(self) -> bool:
        """True where they leave all as it is."""
        ...

    def paths(self, curves: Mapping[Path, Any]) -> list[Path]:
        """Those curves of an Action that they are over."""
        ...

    def under_layers(self, tracked: Store) -> Store:
        """The keys of each curve; the same object where it stays as it was tracked."""
        ...


def course_of(collection: Any, role: str, block: Any, settings: LayerSettings) -> Course:
    """The layers' course on a data-block of a take, by its role there."""
    times = timing.timing_of(collection)
    if role == versions.POSE:
        bones = {eye: (bone.path_from_id(), bone.rotation_mode) for eye, bone in armature.eye_bones(block).items()}
        return PoseCourse(settings, times, block.rotation_mode, bones)
    if role == versions.EXPRESSION:
        return WeightCourse(settings, times, _shape_weights(ownership.member(collection, ownership.HEAD)))
    return WeightCourse(settings, times, _property_weights(block))


@dataclass(frozen=True)
class Weight:
    """An action's name and the numbers that its weight is kept within."""

    action: str
    low: float
    high: float


def _shape_weights(head: Any) -> dict[Path, Weight]:
    """The weights that are shape keys; sliders hold what Blender shows of a value."""
    names = shape.built_names(head.data) or [block.name for block in list(head.data.shape_keys.key_blocks)[1:]]
    return {
        (key.path_from_id("value"), 0): Weight(name, key.slider_min, key.slider_max)
        for name, key in shape.expressions_of(head.data, names).items()
    }


def _property_weights(head: Any) -> dict[Path, Weight]:
    """The weights that are custom properties of a head whose shape keys are not ARKit's actions."""
    found = {}
    for curve in compat.action_curves(head):
        name = _PROPERTY.fullmatch(curve.data_path)
        if name is not None and curve.group is not None and curve.group.name == ARKIT:
            found[curve.data_path, curve.array_index] = Weight(name[1], 0.0, 1.0)
    return found


@dataclass(frozen=True)
class WeightCourse:
    """The layers over weights of actions."""

    settings: LayerSettings
    timing: timing.Timing
    weights: Mapping[Path, Weight]

    @property
    def plain(self) -> bool:
        """True where they leave every weight as it is."""
        moved = stack.mirrored(self.settings, [weight.action for weight in self.weights.values()])
        return all(stack.is_plain(self.settings, weight.action, moved) for weight in self.weights.values())

    def paths(self, curves: Mapping[Path, Any]) -> list[Path]:
        """The weights' curves."""
        return [path for path in self.weights if path in curves]

    def under_layers(self, tracked: Store) -> Store:
        """Weights on the frames that most have, by straight lines, are computed as one; others for themselves."""
        out = dict(tracked)
        here = {path: self.weights[path].action for path in tracked if path in self.weights}
        moved = stack.mirrored(self.settings, list(here.values()))
        wanted = [path for path, name in here.items() if not stack.is_plain(self.settings, name, moved)]
        if not wanted:
            return out
        frames = _common_frames(tracked[path] for path in wanted)
        dense: dict[Path, Keys] = {}
        for path in wanted:
            keys, layer = tracked[path], self.settings.over(here[path])
            if keys.linear and len(keys.frames) == len(frames) and (keys.frames == frames).all():
                dense[path] = keys
            elif layer.smoothing > 0 or here[path] in moved:
                dense[path] = resampled(keys, frames)
            else:
                out[path] = _scaled(keys, stack.affine(layer, self._zero([keys], frames)[0]), self.weights[path])
        if dense:
            out.update(self._together(frames, dense))
        return out

    def _together(self, frames: F64, dense: Store) -> Store:
        values = np.stack([keys.values for keys in dense.values()], axis=1)
        bounds = np.array([(self.weights[path].low, self.weights[path].high) for path in dense])
        names = [self.weights[path].action for path in dense]
        zero = self._zero(list(dense.values()), frames)
        shown = stack.weights(self.timing.home(frames), values, names, self.settings, zero, bounds)
        return {path: with_values(keys, shown[:, index]) for index, (path, keys) in enumerate(dense.items())}

    def _zero(self, curves: list[Keys], frames: F64) -> F64:
        """The mean weight of each curve on the frames that become zero."""
        if self.settings.zero is None:
            return np.zeros(len(curves))
        first, last = self.timing.at(np.array(self.settings.zero))
        some = frames[(frames >= first) & (frames <= last)]
        some = some if len(some) else np.array([(first + last) / 2])
        return np.array([evaluated(keys, some).mean() for keys in curves])


def _common_frames(curves: Iterable[Keys]) -> F64:
    """The frames of most of some curves; of whole frames from end to end where all have few keys."""
    curves = list(curves)
    count: dict[bytes, int] = {}
    for keys in curves:
        if keys.linear:
            count[keys.frames.tobytes()] = count.get(keys.frames.tobytes(), 0) + 1
    most = max(count, key=lambda frames: (count[frames], len(frames)), default=b"")
    frames = np.frombuffer(most)
    ends = [(keys.frames[0], keys.frames[-1]) for keys in curves]
    first, last = min(start for start, _ in ends), max(end for _, end in ends)
    if len(frames) >= (last - first) / 2:
        return frames
    return np.union1d(np.arange(np.floor(first), np.ceil(last) + 1), frames)


def resampled(keys: Keys, frames: F64) -> Keys:
    """A curve as straight lines between keys on some frames."""
    nearest = np.abs(keys.frames[:, None] - frames[None]).argmin(axis=0)
    uncertain = compat.new_keys(frames, frames, np.ones(len(frames), bool)).numbers["type"]
    bridged = keys.numbers["type"][nearest] == uncertain
    return content(compat.new_keys(frames, evaluated(keys, frames), bridged))


def _scaled(keys: Keys, change: stack.Affine, weight: Weight) -> Keys:
    """A curve of any keys, each of them higher or lower, and its handles as much steeper or flatter."""
    numbers, old = dict(keys.numbers), keys.values
    new = np.clip(change.of(old), weight.low, weight.high)
    for name in ("co", "handle_left", "handle_right"):
        places = keys.numbers[name].astype(np.float64)
        places[:, 1] = new + change.gain * (places[:, 1] - old)
        numbers[name] = places.astype(np.float32)
    return Keys(numbers)


@dataclass(frozen=True)
class PoseCourse:
    """The layers over the head's pose and the eyes' rotations; ``eyes`` has each bone's data path and rotation mode."""

    settings: LayerSettings
    timing: timing.Timing
    mode: str
    eyes: Mapping[str, tuple[str, str]]

    @property
    def plain(self) -> bool:
        """True where they leave both as they are."""
        return self.head_is_plain and stack.gaze_is_plain(self.settings)

    @property
    def head_is_plain(self) -> bool:
        """True where they leave the head's pose as it is."""
        return stack.pose_is_plain(self.settings)

    def paths(self, curves: Mapping[Path, Any]) -> list[Path]:
        """The curves of the head's motion and of the gaze."""
        wanted = {"location", axes.rotation_property(self.mode)}
        wanted |= {f"{prefix}.{axes.rotation_property(mode)}" for prefix, mode in self.eyes.values()}
        return [path for path in curves if path[0] in wanted]

    def head_paths(self, tracked: Store) -> list[Path]:
        """Those of the head's motion."""
        return [path for path in tracked if path[0] in ("location", axes.rotation_property(self.mode))]

    def under_layers(self, tracked: Store) -> Store:
        """Rotations are changed as a whole; one that has lost a curve stays as it is."""
        out = dict(tracked)
        if not stack.gaze_is_plain(self.settings):
            out.update(self._gaze(tracked))
        if not self.head_is_plain:
            out.update(self._head(tracked))
        return out

    def _gaze(self, tracked: Store) -> Store:
        paths = {eye: _paths(prefix, mode) for eye, (prefix, mode) in self.eyes.items()}
        paths = {eye: found for eye, found in paths.items() if all(path in tracked for path in found)}
        if not paths:
            return {}
        group = _Group.of([tracked[path] for found in paths.values() for path in found])
        start, angles, values = 0, {}, {}
        for eye, found in paths.items():
            values[eye] = group.values[:, start : start + len(found)]
            start += len(found)
            mode = self.eyes[eye][1]
            plain = mode == axes.EYE_EULER_ORDER
            angles[eye] = values[eye] if plain else _converted(values[eye], mode, axes.EYE_EULER_ORDER)
        out: Store = {}
        shown = stack.gaze(self.timing.home(group.frames), angles, self.settings)
        for eye, found in paths.items():
            mode = self.eyes[eye][1]
            plain = mode == axes.EYE_EULER_ORDER
            new = shown[eye] if plain else _converted(shown[eye], axes.EYE_EULER_ORDER, mode, values[eye][0])
            out.update(group.keyed([tracked[path] for path in found], found, new))
        return out

    def _head(self, tracked: Store) -> Store:
        turn, place = _paths("", self.mode), [("location", index) for index in range(3)]
        if not all(path in tracked for path in (*turn, *place)):
            return {}
        group = _Group.of([tracked[path] for path in (*turn, *place)])
        angles, places = group.values[:, :-3], group.values[:, -3:]
        rotations = axes.rotations_from(angles, self.mode)
        rotations, places = stack.head_pose(self.timing.home(group.frames), rotations, places, self.settings)
        angles = axes.rotation_values(rotations, self.mode, angles[0])
        new = np.concatenate([angles, places], axis=1)
        return group.keyed([tracked[path] for path in (*turn, *place)], [*turn, *place], new)


def _paths(prefix: str, mode: str) -> list[Path]:
    """The curves of a rotation."""
    path = axes.rotation_property(mode)
    width = 4 if mode in axes.ROTATION_PROPERTIES else 3
    return [(f"{prefix}.{path}" if prefix else path, index) for index in range(width)]


def _converted(values: F64, mode: str, other: str, start: F64 | None = None) -> F64:
    return axes.rotation_values(axes.rotations_from(values, mode), other, start)


@dataclass(frozen=True, eq=False)
class _Group:
    """Values (T,n) of curves that only say something together; ``same`` where all have their keys on its frames."""

    frames: F64
    values: F64
    same: bool

    @classmethod
    def of(cls, curves: list[Keys]) -> _Group:
        frames = _common_frames(curves)
        same = all(
            keys.linear and len(keys.frames) == len(frames) and bool((keys.frames == frames).all()) for keys in curves
        )
        return cls(frames, np.stack([evaluated(keys, frames) for keys in curves], axis=1), same)

    def keyed(self, curves: list[Keys], paths: list[Path], values: F64) -> Store:
        """Keys of new values (T,m) of some of the curves."""
        on_frames = curves if self.same else [resampled(keys, self.frames) for keys in curves]
        return {
            path: with_values(keys, values[:, i]) for i, (path, keys) in enumerate(zip(paths, on_frames, strict=True))
        }
