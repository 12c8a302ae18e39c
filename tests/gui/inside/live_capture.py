"""Live Capture in a window: a phone's packets drive a head, are recorded and stopped; screenshots of it all.

Arguments: zip, the program that starts the session, the port that the phone sends to.
"""

from __future__ import annotations

import time

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, program, port = bgui.args
rounds: list[tuple[float, float, bool]] = []  # seconds of this thread, by the clock, whether a pose was shown
drawings: list[float] = []
seen: list[float] = []


def running():
    return addon("live_capture.running")


def capture():
    return addon("session").current().capture


def take():
    return running().head_take()


def jaw() -> float:
    return take()["flowface_head"].data.shape_keys.key_blocks["jawOpen"].value


def look(name: str, then, seconds: float = 1.0) -> None:
    bgui.after(seconds, lambda: (bgui.shot(f"live-{name}"), then()))


def measure() -> None:
    """Time every round of the live timer, and count drawings of the viewport."""
    pump = addon("live_pump")
    work = pump._round

    def timed():
        started, own, drawn = time.perf_counter(), time.thread_time(), running().now.drawn
        work()
        spent = time.thread_time() - own, time.perf_counter() - started
        rounds.append((*spent, running().now.drawn > drawn))
        if running().now.drawn > drawn:
            seen.append(jaw())

    pump._round = timed
    bpy.types.SpaceView3D.draw_handler_add(lambda: drawings.append(time.perf_counter()), (), "WINDOW", "POST_PIXEL")


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, "tcp://127.0.0.1:9")
    bpy.context.preferences.addons["bl_ext.user_default.flowface"].preferences.environment = program
    panel = bpy.types.FLOWFACE_PT_live_capture
    for name in ("takes", "take", "correct", "curves", "see", "jobs"):  # a longer window would show all
        bpy.utils.unregister_class(getattr(bpy.types, f"FLOWFACE_PT_{name}"))
    bpy.utils.unregister_class(panel)
    panel.bl_options = set()  # unfolded
    bpy.utils.register_class(panel)
    show_sidebar()
    measure()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, choose)))


def choose() -> None:
    chosen = bpy.context.scene.flowface_live_capture
    chosen.source, chosen.port = "LIVE_LINK", int(port)
    look("1-ready", start)


def start() -> None:
    window, area, _ = viewport()
    with bpy.context.temp_override(window=window, area=area):
        print("start:", bpy.ops.flowface.live_capture_start())
    wait_for(lambda: running().now.drawn > 0, lambda: look("2-live", later), every=0.05, seconds=60)


def later() -> None:
    seen.clear()
    drawings.clear()
    rounds.clear()
    wait_for(lambda: len(seen) > 3 and max(seen) - min(seen) > 0.5, moving, every=0.05, seconds=60)


def moving() -> None:
    bgui.shot("live-3-moving")
    print(f"the jaw was seen at {min(seen):.2f} to {max(seen):.2f} in {len(seen)} poses, {len(drawings)} drawings")
    figures("live")
    print(f"a drawing of the window takes {drawing():.0f} ms while it is live")
    print("record:", bpy.ops.flowface.live_capture_record())
    wait_for(lambda: capture().recording, lambda: look("4-recording", end_recording, 2.0), every=0.02)


def figures(what: str) -> None:
    own, clock, _ = max(one for one in rounds if one[2])
    usual = sorted(one[0] for one in rounds if one[2])[len(rounds) // 4]
    print(f"{what}: longest round {1000 * own:.1f} ms, {1000 * clock:.1f} ms by the clock; usual {1000 * usual:.2f} ms")


def drawing() -> float:
    """Milliseconds that the window takes to draw, with all that was changed since."""
    started = time.perf_counter()
    bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=3)
    return 1000 * (time.perf_counter() - started) / 3


def end_recording() -> None:
    print("end:", bpy.ops.flowface.live_capture_record())
    wait_for(lambda: running().now.notice is not None, lambda: look("5-recorded", stop), every=0.05)


def stop() -> None:
    print("recorded:", running().now.notice.text)
    print("stop:", bpy.ops.flowface.live_capture_stop())
    wait_for(lambda: capture().over, lambda: bgui.after(1.0, play), every=0.05)


def play() -> None:
    keys = take()["flowface_head"].data.shape_keys
    print("keys again:", keys.animation_data.action.name)
    print(f"a drawing of the window takes {drawing():.0f} ms without")
    bpy.context.scene.frame_set(20)
    look("6-stopped", lambda: bgui.done(0))


bgui.after(1.0, begin)
