"""How long a take of 500 frames takes to build, track again and change: ``python -m tests.blender.times``.

Printed are milliseconds of this process's own time, the least of three, so that other work on the machine counts less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from backend.export.blender import head_geometry
from backend.head_model.library import load_head
from blender_addon.scene import build, head_motion, retime, takes
from blender_addon.scene import versions_of_take as versions
from protocol import arrays
from protocol.take import TakeResult

from .takes import Shot, make_take

FRAMES = 500
PART = slice(200, 240)
TIMES = 3


def open_take() -> TakeResult:
    """A performance by the open head, all of whose expressions move."""
    head, take = load_head("open"), make_take(Shot(frame_count=FRAMES))
    moved = np.random.default_rng(0).uniform(0, 1, (FRAMES, len(head.expression_names))).astype(np.float32)
    return replace(take, head=head_geometry(head, head.template), expression=moved)


def measured(take: TakeResult) -> dict[str, float]:
    """Milliseconds of each thing done to a take in an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    part, made = arrays.at_frames(take, np.arange(FRAMES)[PART]), {}

    def run(name: str, do: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = do()
        made[name] = 1000 * (time.process_time() - start)
        return result

    collection = run("build", lambda: build.build_take(bpy.context, take))
    run("track again", lambda: build.build_take(bpy.context, take))
    run(f"track {PART.stop - PART.start} frames again", lambda: build.build_take(bpy.context, part))
    run("switch the version", lambda: versions.switch(bpy.context, collection, 1))
    run("move three versions in time", lambda: retime.retime(collection, start=101.0))
    run("bring head motion to the camera", lambda: head_motion.move(collection, head_motion.CAMERA))
    run("duplicate", lambda: takes.duplicate(bpy.context.scene, collection))
    run("delete", lambda: takes.delete(collection))
    return made


def main() -> None:
    """Print a table."""
    take = open_take()
    runs = [measured(take) for _ in range(TIMES)]
    print(f"{FRAMES} frames, {len(take.head.neutral)} vertices, Blender {bpy.app.version_string}")
    for name in runs[0]:
        print(f"{min(run[name] for run in runs):8.0f} ms  {name}")


if __name__ == "__main__":
    main()
