"""Track real footage with the mouse, watch the head come and get better, undo and redo meanwhile, undo the take.

Arguments: zip, endpoint, footage, where the Track button is (x, y in pixels from the top left). Screenshots are in
/out.
"""

from __future__ import annotations

import time

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, wait_for

package, endpoint, footage, track_x, track_y = bgui.args
ticks: list[tuple[float, float, bool]] = []  # seconds of this thread, by the clock, whether a preview was worked on
pressed = 0.0


def session():
    return addon("session").current()


def scene():
    return bpy.context.window_manager.windows[0].scene


def shown():
    return addon("scene.preview").shown_in(scene())


def prepare() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    measure()
    bgui.after(1.0, choose)


def measure() -> None:
    """Time every tick of Blender's timer while a job is in flight."""
    pump, live = addon("pump"), addon("live")
    work = pump._round

    def timed(*arguments):
        started, own, flying = time.perf_counter(), time.thread_time(), session().job is not None
        working = live.busy()
        changed = work(*arguments)
        if flying and session().job is not None:
            spent = time.thread_time() - own, time.perf_counter() - started
            ticks.append((*spent, working or live.busy()))
        return changed

    pump._round = timed


def choose() -> None:
    show_panel()
    scene().flowface.footage = footage
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, lambda: bgui.after(1.5, press), seconds=20)


def press() -> None:
    global pressed
    bpy.ops.ed.undo_push(message="Ready")
    bgui.click(int(track_x), int(track_y))
    pressed = time.monotonic()
    wait_for(lambda: shown() is not None, came, every=0.02, seconds=120)


def came() -> None:
    print(f"first head after {time.monotonic() - pressed:.1f} s")
    bgui.after(0.7, lambda: (bgui.shot("1-first"), undo_and_redo()))


def undo_and_redo() -> None:
    """By the keyboard, as a user does, with the pointer in the viewport."""
    bgui.move(400, 400)
    bgui.key("ctrl+z")
    bgui.after(0.5, lambda: bgui.key("ctrl+shift+z"))
    wait_for(lambda: shown() is not None, lambda: bgui.after(2.0, again), every=0.05, seconds=60)


def again() -> None:
    bgui.shot("2-after-undo-and-redo")
    wait_for(lambda: session().job is None or session().job.fraction > 0.6, late, every=0.05)


def late() -> None:
    bgui.shot("3-late")
    wait_for(lambda: session().job is None, lambda: bgui.after(1.5, finished), every=0.05)


def finished() -> None:
    bgui.shot("4-result")
    print("notice:", session().notice)
    for with_preview in (False, True):
        own, clock, _ = max(tick for tick in ticks if tick[2] == with_preview)
        what = "with a preview" if with_preview else "without one"
        print(f"longest tick {what} {1000 * own:.0f} ms, {1000 * clock:.0f} ms by the clock")
    left = [block.name for block in (*bpy.data.objects, *bpy.data.actions) if "preview" in block.name]
    print("left of the preview:", left)
    bgui.move(400, 400)
    bgui.key("ctrl+z")
    bgui.after(2.0, undone)


def undone() -> None:
    bgui.shot("5-undone")
    takes = [c.name for c in scene().collection.children if "flowface_take" in c]
    print("after one undo:", takes, [obj.name for obj in bpy.data.objects])
    bgui.done(0 if not takes else 5)


prepare()
