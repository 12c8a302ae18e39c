"""Goes through the frames of a scene to see what is there on each, and comes back to where it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def range_of(scene: Any) -> range:
    """The whole frames that a scene plays: those of its preview range where it has one."""
    if scene.use_preview_range:
        return range(scene.frame_preview_start, scene.frame_preview_end + 1)
    return range(scene.frame_start, scene.frame_end + 1)


def rate_of(scene: Any) -> float:
    """Frames a second."""
    return float(scene.render.fps / scene.render.fps_base)


def through(context: Any, frames: Sequence[float] | NDArray[np.float64]) -> Iterator[Any]:
    """The evaluated dependency graph of the context's scene on one frame after the other.

    The scene is on its own frame again when the iterator ends or is closed.
    """
    scene, was = context.scene, (context.scene.frame_current, context.scene.frame_subframe)
    manager = context.window_manager
    manager.progress_begin(0, max(1, len(frames)))
    try:
        for index, frame in enumerate(frames):
            whole = int(np.floor(frame))
            scene.frame_set(whole, subframe=float(frame) - whole)
            manager.progress_update(index)
            yield context.evaluated_depsgraph_get()
    finally:
        scene.frame_set(was[0], subframe=was[1])
        with contextlib.suppress(RuntimeError):
            manager.progress_end()
