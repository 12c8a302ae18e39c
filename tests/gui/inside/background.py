"""Track footage that says which corner and which frame it is, and read the viewport back.

Arguments: zip, endpoint, footage… Each picture has a red corner at the top left, a green one at the top right, a blue
one at the bottom left, and grey of 20 + 10·index elsewhere. Prints one line a footage; exit code 6 where one is wrong.
"""

from __future__ import annotations

import bgui
import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from common import addon, install, viewport, wait_for

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
    window, area, _ = viewport()
    scene = window.scene
    name = scene.flowface.footage.rsplit("/", 1)[-1]
    path = bgui.shot(f"background-{name}")
    image = bpy.data.images.load(path, check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    pixels = (pixels.reshape(height, width, 4)[:, :, :3] * 255).round()

    region = next(region for region in area.regions if region.type == "WINDOW")
    camera = scene.camera
    frame = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    corners = [location_3d_to_region_2d(region, area.spaces[0].region_3d, corner) for corner in frame]
    left, right = min(c.x for c in corners), max(c.x for c in corners)
    bottom, top = min(c.y for c in corners), max(c.y for c in corners)

    def at(x: float, y: float) -> np.ndarray:
        """The colour at a place in the frame, 0…1 from its top left."""
        return pixels[int(region.y + top + (bottom - top) * y), int(region.x + left + (right - left) * x)]

    seen = {"red": at(0.06, 0.06), "green": at(0.94, 0.06), "blue": at(0.06, 0.94), "grey": at(0.94, 0.94)}
    right_way_up = all(
        seen[colour].argmax() == channel and np.ptp(seen[colour]) > 120
        for channel, colour in enumerate(("red", "green", "blue"))
    )
    moving = scene.frame_end > scene.frame_start  # a still has only one frame to show
    right_frame = not moving or np.abs(seen["grey"] - (20 + 10 * STEP)).max() < 5
    print(name, "upright" if right_way_up else "NOT UPRIGHT", "right frame" if right_frame else "WRONG FRAME", seen)
    if not (right_way_up and right_frame):
        wrong.append(name)
    following()


begin()
