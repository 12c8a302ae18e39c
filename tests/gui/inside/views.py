"""Several views with the mouse: unfold, take cameras from the scene, track, switch, find low confidence, pick.

Arguments: zip, endpoint, folder of front.mp4 (landscape), left.mp4 (portrait, twice the frame rate) and right.mp4,
then name=x,y of everything that is clicked. Every footage's grey tells its frame (``tests.blender.takes``).
"""

from __future__ import annotations

from collections.abc import Callable

import bgui
import bpy
import numpy as np
from common import (
    addon,
    install,
    is_upright,
    picture_frame,
    show_panel,
    show_sidebar,
    shown_colours,
    viewport,
    wait_for,
)

package, endpoint, folder, *places = bgui.args
PLACES = {name: tuple(int(n) for n in place.split(",")) for name, place in (p.split("=") for p in places)}
OFFSET = 0.08  # seconds: two frames of the front view


def session():
    return addon("session").current()


def scene() -> bpy.types.Scene:
    return viewport()[0].scene


def click(place: str, then: Callable[[], None], seconds: float = 0.8) -> None:
    bgui.move(*PLACES[place])  # software GL needs its time to notice what is under the mouse
    bgui.after(0.5, lambda: (bgui.click(*PLACES[place]), bgui.after(seconds, then)))


def check(name: str, seen: object, expected: object) -> None:
    print(f"{name}: {seen}")
    if seen != expected:
        bgui.shot(f"wrong-{name.replace(' ', '-')}")
        print(f"expected {expected}")
        bgui.done(6)


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    connected = addon("client").Connection.CONNECTED
    bgui.after(1.0, lambda: wait_for(lambda: session().connection is connected and session().heads, choose, seconds=20))


def choose() -> None:
    show_panel()
    window = viewport()[0]
    chosen = scene().flowface
    chosen.footage = f"{folder}/front.mp4"
    with bpy.context.temp_override(window=window):
        bpy.ops.flowface.view_add(files=[{"name": "left.mp4"}, {"name": "right.mp4"}], directory=folder)
    for view in chosen.views:
        view.offset = OFFSET
    bpy.ops.ed.undo_push(message="Ready")
    bgui.after(1.0, lambda: click("cameras", lambda: (bgui.shot("views-1-solve"), click("from_scene", from_scene))))


def from_scene() -> None:
    bgui.shot("views-2-from-scene")
    check("cameras", scene().flowface.cameras, "SCENE")
    check("suggested camera", scene().flowface.camera.name, "Camera")
    bgui.after(1.0, lambda: click("solve", solving))


def solving() -> None:
    check("cameras again", scene().flowface.cameras, "SOLVE")
    click("cameras", lambda: click("options", options))


def options() -> None:
    bgui.shot("views-3-options")
    click("aligner", lambda: (bgui.shot("views-3-aligners"), click("network", network)))


def network() -> None:
    check("chosen aligner", scene().flowface.aligner, "flowface")
    bgui.shot("views-3-network")
    click("options", lambda: click("track", lambda: wait_for(lambda: session().job is None, tracked, seconds=60)))


def tracked() -> None:
    check("notice", session().notice.text[:24], "Tracked 12 of 12 frames,")
    names = [obj.name for obj in bpy.data.collections["front"].objects if obj.type == "CAMERA"]
    check("cameras of the take", names, ["front camera", "front left", "front right"])
    scene().frame_set(5)
    space = viewport()[1].spaces[0]
    space.overlay.show_relationship_lines = space.show_gizmo = False
    # The list of takes is folded, so that the panel below it is in sight.
    bgui.after(1.5, lambda: click("takes", lambda: look_at("camera", 4, lambda: click("left", left, 1.5)), 1.5))


def look_at(view: str, image: int, then: Callable[[], None]) -> None:
    """The camera's picture must be upright and its footage's image of this index (0 is the first)."""
    check("scene camera", scene().camera.name, f"front {view}")
    seen = shown_colours(f"views-4-{view}")
    check(f"{view} upright", is_upright(seen), True)
    check(f"{view} image", round((float(seen["grey"].mean()) - 20) / 10), image)
    then()


def left() -> None:
    """Frame 5 is 4/25 s after the front view's start, and 0.24 s after the left one's, which takes 50 a second."""
    resolution = (scene().render.resolution_x, scene().render.resolution_y)
    check("resolution", resolution, (192, 320))
    look_at("left", 12, lambda: click("right", right, 1.5))


def right() -> None:
    look_at("right", 6, lambda: click("next", jumped))


def jumped() -> None:
    check("next low-confidence frame", scene().frame_current, 4)
    bgui.shot("views-5-low-confidence")
    click("camera", pick, 1.5)


def pick() -> None:
    check("back at the front", scene().camera.name, "front camera")
    scene().flowface.face = "POINT"
    click("options", lambda: (bgui.shot("views-6-point"), click("pick", picked, 1.0)))


def picked() -> None:
    """A quarter from the left, half from the top of 320 × 192 pixels."""
    x, right_, bottom, top = picture_frame()
    height = viewport()[0].height
    bgui.click(round(x + (right_ - x) * 0.25), round(height - (top + bottom) / 2))
    bgui.after(1.0, told)


def told() -> None:
    bgui.shot("views-7-picked")
    point = np.array(scene().flowface.face_point)
    check("picked point", bool(np.abs(point - (80, 96)).max() <= 1), True)
    check("on frame", scene().flowface.face_frame, 4)
    window, area, _ = viewport()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        while "front" in bpy.data.collections:
            bpy.ops.ed.undo()
    chosen = bpy.context.window_manager.windows[0].scene.flowface
    check("after undo", [view.name for view in chosen.views], ["left", "right"])
    bgui.after(1.0, lambda: (bgui.shot("views-8-undone"), bgui.done(0)))


begin()
