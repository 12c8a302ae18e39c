"""What live drivers cost a frame and a bake of 500 frames: ``python -m tests.blender.retarget.times DATA``.

DATA is the folder of real characters. Printed are milliseconds of this process's own time, the least of some runs. A
frame is played with the facecap head doing nothing, following live with 52 drivers, and with the same baked; and live
and baked once more on a mesh of three vertices, on which no shape costs anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

import blender_addon
from blender_addon.retarget import bake, drive, properties
from blender_addon.retarget.mapping import KeyLink, Mapping
from protocol.face_actions import ARKIT_ACTIONS

from . import characters

FRAMES, TIMES = 500, 5


def add(obj: Any, head: Any, mapping: Mapping) -> Any:
    """A target of the open scene."""
    target = getattr(bpy.context.scene, properties.NAME).targets.add()
    target.object, target.source = obj, head
    properties.write_mapping(target, mapping)
    return target


def milliseconds(do: Callable[[], Any], times: int = TIMES) -> float:
    """Of the fastest run."""
    took = []
    for _ in range(times):
        start = time.process_time()
        do()
        took.append(1000 * (time.process_time() - start))
    return min(took)


def play() -> None:
    """Fifty frames."""
    for frame in range(100, 150):
        bpy.context.scene.frame_set(frame)


def main(data: Path) -> None:
    """Print a table."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    rng = np.random.default_rng(0)
    head = characters.performer({action: rng.uniform(0, 1, FRAMES).astype(np.float32) for action in ARKIT_ACTIONS})
    facecap = characters.facecap(data)
    triangle = characters.mesh_object(
        "triangle",
        np.eye(3, dtype=np.float32),
        np.array([[0, 1, 2]], np.int32),
        {action: np.full((3, 3), 0.1, np.float32) for action in ARKIT_ACTIONS},
    )
    names = [block.name for block in facecap.data.shape_keys.key_blocks][1:]
    mappings = {
        facecap: Mapping("", tuple(KeyLink(a, k) for a, k in zip(ARKIT_ACTIONS, names, strict=True))),
        triangle: Mapping("", tuple(KeyLink(a, a) for a in ARKIT_ACTIONS)),
    }
    print(f"{FRAMES} frames, {len(ARKIT_ACTIONS)} actions, Blender {bpy.app.version_string}")
    print(f"{milliseconds(play) / 50:8.2f} ms  a frame without characters that follow")
    for obj, mapping in mappings.items():
        target = add(obj, head, mapping)
        print(f"{milliseconds(lambda t=target: (drive.go_off(t), drive.go_live(t))):8.2f} ms  {obj.name}: go live")
        print(f"{milliseconds(play) / 50:8.2f} ms  a frame with {obj.name} live")
        print(f"{milliseconds(lambda t=target: bake.bake(t, 1, FRAMES)):8.2f} ms  {obj.name}: bake")
        print(f"{milliseconds(play) / 50:8.2f} ms  a frame with {obj.name} baked")
        print(f"{milliseconds(lambda t=target: bake.bake(t, 1, FRAMES, 0.01), 1):8.2f} ms  {obj.name}: bake to 0.01")
        bake.unbake(target)
    blender_addon.unregister()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
