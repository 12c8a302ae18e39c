"""Track footage that says which corner and which frame it is, and read the viewport back.

Arguments: zip, endpoint, footage… Each picture has a red corner at the top left, a green one at the top right, a blue
one at the bottom left, and grey of 20 + 10·index elsewhere. Prints one line a footage; exit code 6 where one is wrong.
"""

from __future__ import annotations

import bgui
import bpy
import numpy as np
from common import addon, install, is_upright, shown_colours, viewport, wait_for

package, endpoint, *footages = bgui.args
wrong = []
STEP = 4


def session():
    return addon("session").current()


def begin() -> None:
    install(package, endpoint)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    area = viewport()[1]
    area.spaces[0].overlay.show_overlays = True
    area.spaces[0].show_gizmo = area.spaces[0].show_region_toolbar = area.spaces[0].show_region_ui = False
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, following, seconds=20)


def following() -> None:
    if not footages:
        bgui.done(6 if wrong else 0)
    window = viewport()[0]
    window.scene.flowface.footage = footages.pop(0)
    with bpy.context.temp_override(window=window):
        bpy.ops.flowface.track()
    wait_for(lambda: session().job is None, lambda: bgui.after(0.5, show), seconds=60)


def show() -> None:
    window, area, _ = viewport()
    scene = window.scene
    scene.frame_set(scene.frame_start + STEP if scene.frame_end > scene.frame_start else scene.frame_start)
    area.spaces[0].region_3d.view_perspective = "CAMERA"
    area.tag_redraw()
    bgui.after(1.5, judge)


def judge() -> None:
    scene = viewport()[0].scene
    name = scene.flowface.footage.rsplit("/", 1)[-1]
    seen = shown_colours(f"background-{name}")
    right_way_up = is_upright(seen)
    moving = scene.frame_end > scene.frame_start  # a still has only one frame to show
    right_frame = not moving or np.abs(seen["grey"] - (20 + 10 * STEP)).max() < 5
    print(name, "upright" if right_way_up else "NOT UPRIGHT", "right frame" if right_frame else "WRONG FRAME", seen)
    if not (right_way_up and right_frame):
        wrong.append(name)
    following()


begin()
