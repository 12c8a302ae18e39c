"""Keys of many curves as plain arrays that an Action holds, and what was edited by hand since they were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...keys import ALIGNED, FREE, LINEAR, Keys, joined

Path = tuple[str, int]
"""Data path and index of a curve."""
Store = dict[Path, Keys]
Frames = NDArray[np.float64]

_PATHS, _COUNTS = "paths", "counts"
_PLACED = 1e-4
"""Frames and values: Blender aligns handles anew to less than this."""
_CHOICES = ("interpolation", "easing", "type", "handle_left_type", "handle_right_type")


def pack(store: Store, like: Store | None = None) -> dict[str, Any]:
    """Arrays of integers, bit by bit, as Blender keeps them in a custom property.

    What is the same for all keys is kept once, and what is that of ``like``, not at all.
    """
    out: dict[str, Any] = {
        _PATHS: "\n".join(f"{index} {path}" for path, index in store),
        _COUNTS: np.array([len(keys.numbers["co"]) for keys in store.values()], np.int32),
    }
    for name in next(iter(store.values())).numbers:
        pieces = [keys.numbers[name] for keys in store.values()]
        if like is not None and all(
            path in like and piece is like[path].numbers[name] for path, piece in zip(store, pieces, strict=True)
        ):
            continue
        numbers = np.concatenate(pieces)
        if len(numbers) and (numbers == numbers[:1]).all():
            numbers = numbers[:1]
        out[name] = np.ascontiguousarray(numbers).view(np.int32).ravel()
    return out


def unpack(data: Mapping[str, Any], like: Store | None = None) -> Store:
    """The keys of ``pack``; what was not packed is that of ``like``."""
    paths = [(path, int(index)) for index, path in (line.split(" ", 1) for line in data[_PATHS].split("\n"))]
    counts = np.array(data[_COUNTS], np.int64)
    ends = np.cumsum(counts)
    numbers: list[dict[str, NDArray[Any]]] = [{} for _ in paths]
    for name, (width, dtype) in _FIELDS.items():
        if name not in data:
            for own, path in zip(numbers, paths, strict=True):
                own[name] = like[path].numbers[name]  # type: ignore[index]
            continue
        values: NDArray[Any] = np.array(data[name], np.int32).view(dtype).reshape(-1, width)
        values = values if len(values) == ends[-1] else np.repeat(values, ends[-1], axis=0)
        values = values if width > 1 else values[:, 0]
        for own, end, count in zip(numbers, ends, counts, strict=True):
            own[name] = values[end - count : end]
    return {path: Keys(own) for path, own in zip(paths, numbers, strict=True)}


_FIELDS: dict[str, tuple[int, type]] = {
    **dict.fromkeys(("co", "handle_left", "handle_right"), (2, np.float32)),
    **dict.fromkeys(("amplitude", "back", "period"), (1, np.float32)),
    **dict.fromkeys(_CHOICES, (1, np.int32)),
}
"""How many numbers a key has of each kind; which keys are selected is not kept."""


def content(keys: Keys) -> Keys:
    """Keys without what is not kept of them."""
    return Keys({name: keys.numbers[name] for name in _FIELDS})


def with_values(keys: Keys, values: NDArray[Any]) -> Keys:
    """Keys on the same frames with other ``values (n,)``; handles stay where they are, for Blender to place."""
    places = np.stack([keys.numbers["co"][:, 0], values], axis=1).astype(np.float32)
    return Keys({**keys.numbers, "co": places})


def edited(now: Keys, before: Keys) -> NDArray[np.bool_]:
    """Which of the keys (n,) a user made or changed ``before`` became ``now``. Automatic handles are Blender's."""
    nearest = np.minimum(np.searchsorted(before.frames, now.frames), len(before.frames) - 1)
    old = before.at(nearest)
    out = (now.numbers["co"] != old.numbers["co"]).any(axis=1)
    for name in _CHOICES:
        out |= now.numbers[name] != old.numbers[name]
    for side in ("handle_left", "handle_right"):
        kept = np.isin(now.numbers[f"{side}_type"], (FREE, ALIGNED)) & (now.numbers["interpolation"] != LINEAR)
        out |= kept & (np.abs(now.numbers[side] - old.numbers[side]) > _PLACED).any(axis=1)
    return np.asarray(out)


def replayed(now: Keys, before: Keys, after: Keys, where: Callable[[Frames], NDArray[np.bool_]] | None = None) -> Keys:
    """The keys ``after`` with all that was edited by hand as ``before`` became ``now``.

    A key that was changed, moved or made goes up and down with the layers under it; one that was deleted stays so.
    ``where`` says on which frames edits count, on all without it.
    """
    changed = edited(now, before)
    gone = ~np.isin(before.frames, now.frames)
    if where is not None:
        changed, gone = changed & where(now.frames), gone & where(before.frames)
    if not changed.any() and not gone.any():
        return after
    base = after.at(~np.isin(after.frames, np.concatenate([now.frames[changed], before.frames[gone]])))
    own = now.at(changed)
    shift = _level(after, own.frames) - _level(before, own.frames)
    numbers = dict(own.numbers)
    for name in ("co", "handle_left", "handle_right"):
        numbers[name] = (own.numbers[name] + np.stack([np.zeros_like(shift), shift], axis=1)).astype(np.float32)
    both = joined(content(base), content(Keys(numbers)))
    return both.at(np.argsort(both.frames, kind="stable"))


def _level(keys: Keys, frames: Frames) -> Frames:
    """Values on some frames, by straight lines between keys: a shift needs no curve."""
    return np.asarray(np.interp(frames, keys.frames, keys.values))
