"""The common part of scripts in a windowed Blender. Runs in Blender's Python, with ``bgui`` from blender-gui.sh."""

from __future__ import annotations

import importlib
import re
import sys
import time
import zipfile
from collections.abc import Callable
from types import ModuleType
from typing import Any

import bgui
import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d

EXTENSION = "bl_ext.user_default.flowface"
CATEGORY = "FlowFace"
OFFICIAL_PYTHONS = ((3, 11), (3, 13))


def addon(name: str) -> ModuleType:
    """A module of the installed add-on."""
    return importlib.import_module(f"{EXTENSION}.{name}")


def install(package: str, endpoint: str) -> None:
    """Install the extension from its zip, as a user does, and point it at a backend."""
    if sys.version_info[:2] not in OFFICIAL_PYTHONS:
        package = without_wheels(package)
    bpy.ops.extensions.package_install_files(filepath=package, repo="user_default", enable_on_install=True)
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.endpoint, preferences.autostart = endpoint, False


def without_wheels(package: str) -> str:
    """The same extension for a distribution's Blender, whose Python is no official one and has its own pyzmq."""
    slim = f"{bpy.app.tempdir}/flowface.zip"
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(slim, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "blender_manifest.toml":
                data = re.sub(rb"wheels = \[.*?\]\n", b"", data, flags=re.DOTALL)
            if not name.endswith(".whl"):
                target.writestr(name, data)
    return slim


def viewport() -> tuple[Any, Any, Any]:
    """Window, area and sidebar region of the 3D viewport."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    return window, area, next(region for region in area.regions if region.type == "UI")


def show_sidebar() -> None:
    """Open the sidebar."""
    viewport()[1].spaces[0].show_region_ui = True


def show_panel() -> None:
    """Bring the FlowFace tab to the front; only possible once the sidebar has been drawn."""
    sidebar = viewport()[2]
    sidebar.active_panel_category = CATEGORY
    sidebar.tag_redraw()


def picture_frame() -> tuple[float, float, float, float]:
    """The scene camera's picture in the viewport: left, right, bottom, top in pixels from the window's bottom left."""
    window, area, _ = viewport()
    region = next(region for region in area.regions if region.type == "WINDOW")
    camera = window.scene.camera
    frame = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=window.scene)]
    corners = [location_3d_to_region_2d(region, area.spaces[0].region_3d, corner) for corner in frame]
    across, up = [corner.x for corner in corners], [corner.y for corner in corners]
    return region.x + min(across), region.x + max(across), region.y + min(up), region.y + max(up)


def shown_colours(name: str) -> dict[str, Any]:
    """Take a screenshot; the colours (RGB, 0…255) near the corners of the picture behind the scene camera."""
    image = bpy.data.images.load(bgui.shot(name), check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    pixels = (pixels.reshape(height, width, 4)[:, :, :3] * 255).round()
    left, right, bottom, top = picture_frame()

    def at(x: float, y: float) -> Any:
        """The colour at a place in the frame, 0…1 from its top left."""
        return pixels[int(top + (bottom - top) * y), int(left + (right - left) * x)]

    return {"red": at(0.06, 0.06), "green": at(0.94, 0.06), "blue": at(0.06, 0.94), "grey": at(0.94, 0.94)}


def is_upright(seen: dict[str, Any]) -> bool:
    """True where red is at the top left, green at the top right and blue at the bottom left."""
    corners = enumerate(("red", "green", "blue"))
    return all(seen[colour].argmax() == channel and np.ptp(seen[colour]) > 120 for channel, colour in corners)


def wait_for(done: Callable[[], bool], then: Callable[[], None], *, every: float = 0.2, seconds: float = 240.0) -> None:
    """Call ``then`` as soon as ``done``, letting Blender run meanwhile; ends Blender with exit code 3 if never."""
    deadline = time.monotonic() + seconds

    def look() -> None:
        if done():
            then()
        elif time.monotonic() > deadline:
            bgui.shot("gave-up")
            session = addon("session").current()
            print("gave up:", session.connection, session.notice, session.job)
            bgui.done(3)
        else:
            bgui.after(every, look)

    look()
