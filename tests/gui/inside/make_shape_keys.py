"""A mesh without shape keys gets 52 while Blender goes on, in one undo step; the sheet opens in a window.

Arguments: zip, endpoint, a folder that the backend sees too, the mesh (npz, y up). Screenshots are in /out.
"""

from __future__ import annotations

import time
from pathlib import Path

import bgui
import bpy
import numpy as np
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, folder, mesh = bgui.args
ticks: list[float] = []


def session():
    return addon("session").current()


def keys() -> int:
    blocks = bpy.data.meshes["Face"].shape_keys
    return len(blocks.key_blocks) if blocks is not None else 0


def prepare() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    addon("preferences").user_folder = lambda: Path(folder) / "own"
    show_sidebar()
    with np.load(mesh) as data:
        points, triangles = data["vertices"], data["triangles"]
    face = bpy.data.meshes.new("Face")
    face.from_pydata(np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1).tolist(), [], triangles.tolist())
    obj = bpy.data.objects.new("Face", face)
    window, _, _ = viewport()
    window.scene.collection.objects.link(obj)
    window.view_layer.objects.active = obj
    obj.select_set(True)
    bgui.after(1.0, choose)


def choose() -> None:
    show_panel()
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, lambda: bgui.after(0.5, make), seconds=20)


def in_window(operator, *arguments):
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        return operator(*arguments)


def make() -> None:
    bpy.ops.ed.undo_push(message="Face")
    print("make:", in_window(bpy.ops.flowface.make_shape_keys))
    bpy.app.timers.register(tick)
    wait_for(lambda: addon("transferring").current() is None, made, seconds=200)


def tick() -> float:
    ticks.append(time.monotonic())
    return 0.02


def made() -> None:
    bpy.app.timers.unregister(tick)
    print("notice:", session().notice, "keys:", keys(), f"longest pause: {np.diff(ticks).max():.2f} s")
    bpy.data.meshes["Face"].shape_keys.key_blocks["mouthSmileLeft"].value = 1.0
    print("sheet:", in_window(bpy.ops.flowface.show_sheet), len(bpy.context.window_manager.windows))
    bgui.after(3.0, look)


def look() -> None:
    bgui.shot("1-sheet")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    bgui.after(1.0, undo)


def undo() -> None:
    bgui.shot("2-made")
    in_window(bpy.ops.ed.undo)
    print("after one undo:", keys())
    bgui.after(1.0, bgui.done)


bgui.after(1.0, prepare)
