"""Install the extension, press Track with the mouse, watch the job, look at the result, export it, undo.

Arguments: zip, endpoint, footage, where the Track button is (x, y in pixels from the top left), the table to export.
Screenshots are in /out.
"""

from __future__ import annotations

import time

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage, track_x, track_y, table = bgui.args
longest = {"poll": 0.0, "build": 0.0}


def session():
    return addon("session").current()


def prepare() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])  # as every animator does; the camera would stand inside it
    install(package, endpoint)
    show_sidebar()
    measure()
    bgui.after(1.0, choose)


def measure() -> None:
    """Time every poll that Blender's timer makes."""
    cls = addon("session").Session
    poll = cls.poll

    def timed(self, *arguments):
        started = time.perf_counter()
        changed = poll(self, *arguments)
        if self.job is not None:
            longest["poll"] = max(longest["poll"], time.perf_counter() - started)
        return changed

    cls.poll = timed
    pump = addon("pump")
    build = pump.build_when_possible

    def timed_build(*arguments):
        started = time.perf_counter()
        built = build(*arguments)
        longest["build"] = max(longest["build"], time.perf_counter() - started)
        return built

    pump.build_when_possible = timed_build


def choose() -> None:
    show_panel()
    bpy.context.window_manager.windows[0].scene.flowface.footage = footage
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, lambda: bgui.after(1.5, press), seconds=20)


def press() -> None:
    bpy.ops.ed.undo_push(message="Ready")  # what a user's own clicks leave behind
    bgui.shot("1-ready")
    bgui.click(int(track_x), int(track_y))
    wait_for(lambda: session().job is not None, watch, every=0.05, seconds=10)


def watch() -> None:
    print("Track was pressed")
    wait_for(lambda: session().job is None or session().job.fraction > 0.2, show_progress, every=0.05)


def show_progress() -> None:
    bgui.after(0.3, lambda: bgui.shot("2-progress"))
    wait_for(lambda: session().job is None, lambda: bgui.after(2.0, finished))


def finished() -> None:
    notice = session().notice
    print("notice:", notice)
    if notice.is_error:
        bgui.shot("failed")
        bgui.done(4)
    scene = bpy.context.window_manager.windows[0].scene
    bgui.shot("3-result")
    print(f"longest poll with a job in flight {longest['poll'] * 1000:.2f} ms, build {longest['build'] * 1000:.0f} ms")
    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    bgui.after(2.0, lambda: (bgui.shot("4-middle"), export()))


def export() -> None:
    with bpy.context.temp_override(window=viewport()[0]):
        bpy.ops.flowface.export(format="csv", filepath=table)
    wait_for(lambda: session().exporting is None, lambda: bgui.after(1.0, exported), seconds=60)


def exported() -> None:
    print("notice:", session().notice)
    bgui.shot("5-exported")
    turn_around()


def turn_around() -> None:
    window, area, _ = viewport()
    space = area.spaces[0]
    space.region_3d.view_perspective = "PERSP"
    take = next(c for c in window.scene.collection.children if "flowface_take" in c)
    head = take["flowface_head"]
    space.region_3d.view_location = take["flowface_armature"].location
    space.region_3d.view_distance = 0.9
    window.view_layer.objects.active = head
    bgui.after(2.0, lambda: (bgui.shot("6-free-view"), undo()))


def undo() -> None:
    window, area, _ = viewport()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.ed.undo()
    kept = bpy.context.window_manager.windows[0].scene.flowface.footage
    left = [c.name for c in bpy.context.window_manager.windows[0].scene.collection.children if "flowface_take" in c]
    print("after one undo:", left, kept)
    bgui.after(1.0, lambda: (bgui.shot("7-undone"), bgui.done(0 if kept and not left else 5)))


prepare()
