"""How long a take of 500 frames takes to build, track again and change: ``python -m tests.blender.times [CLIP]``.

Printed are milliseconds of this process's own time, the least of three, so that other work on the machine counts less;
and for a clip that is tracked by a warm backend, how long it takes to the first head, and for how long at most Blender
stands still (without the time in which it draws).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from backend.export.blender import head_geometry
from backend.head_model.library import load_head
from blender_addon.scene import build, head_motion, preview, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers import apply as curve_layers
from blender_addon.scene.curve_layers import bake, regions
from blender_addon.scene.curve_layers.settings import Layer, LayerSettings
from protocol import arrays
from protocol.take import TakeResult

from . import live_times
from .takes import Shot, make_take

FRAMES = 500
PART = slice(200, 240)
TIMES = 3
_WEIGHTS = (regions.BROWS, regions.LIDS, regions.MOUTH, regions.JAW, regions.CHEEKS)


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

    steps = preview.build_in_steps(bpy.context, take, None, match_scene=True)
    made["longest step of a preview"] = _longest(steps)
    shown = preview.shown_in(bpy.context.scene)
    made["longest step of its change"] = _longest(preview.change_in_steps(shown, take))
    run("take the preview away", preview.remove_all)
    collection = run("build", lambda: build.build_take(bpy.context, take))
    run("track again", lambda: build.build_take(bpy.context, take))
    run(f"track {PART.stop - PART.start} frames again", lambda: build.build_take(bpy.context, part))
    run("switch the version", lambda: versions.switch(bpy.context, collection, 1))
    run("move three versions in time", lambda: retime.retime(collection, start=101.0))
    run("bring head motion to the camera", lambda: head_motion.move(collection, head_motion.CAMERA))
    head_motion.move(collection, head_motion.HEAD)
    run("put the first layer over all actions", lambda: curve_layers.change(collection, _layers(0.9)))
    run("change a layer over all actions", lambda: curve_layers.change(collection, _layers(1.1)))
    run("take all layers off", lambda: curve_layers.change(collection, LayerSettings()))
    run("thin out the keys", lambda: bake.thin_out(collection, 0.5))
    run("duplicate", lambda: takes.duplicate(bpy.context.scene, collection))
    run("delete", lambda: takes.delete(collection))
    return made


def _layers(gain: float) -> LayerSettings:
    return LayerSettings(by_region={region: Layer(2.0, gain) for region, _ in regions.REGIONS if region in _WEIGHTS})


def _longest(steps: Iterator[None]) -> float:
    """Milliseconds of the longest of some steps."""
    longest, going = 0.0, True
    while going:
        start = time.process_time()
        going = next(steps, True) is None
        longest = max(longest, time.process_time() - start)
    return 1000 * longest


def main() -> None:
    """Print a table."""
    take = open_take()
    runs = [measured(take) for _ in range(TIMES)]
    print(f"{FRAMES} frames, {len(take.head.neutral)} vertices, Blender {bpy.app.version_string}")
    for name in runs[0]:
        print(f"{min(run[name] for run in runs):8.0f} ms  {name}")
    for clip in sys.argv[1:]:
        live_times.report(Path(clip))


if __name__ == "__main__":
    main()
