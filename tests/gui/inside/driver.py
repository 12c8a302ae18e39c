"""Live Capture in a window, by a person's learnt driver: a video played, the head that moves, stopped; screenshots.

Arguments: zip, the program that starts the session, the video, the driver.
"""

from __future__ import annotations

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, program, video, driver = bgui.args
seen: list[float] = []


def running():
    return addon("live_capture.running")


def capture():
    return addon("session").current().capture


def jaw() -> float:
    return running().head_take()["flowface_head"].data.shape_keys.key_blocks["jawOpen"].value


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
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, choose)))


def choose() -> None:
    chosen = bpy.context.scene.flowface_live_capture
    chosen.source, chosen.video, chosen.driver = "VIDEO", video, driver
    show_panel()  # drawn anew
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, lambda: (bgui.shot("driver-1-ready"), start()))))


def start() -> None:
    window, area, _ = viewport()
    with bpy.context.temp_override(window=window, area=area):
        print("start:", bpy.ops.flowface.live_capture_start())
    wait_for(lambda: running().now.drawn > 0, follow, every=0.05, seconds=120)


def follow() -> None:
    bgui.after(1.0, lambda: bgui.shot("driver-2-live"))

    def moved() -> bool:
        seen.append(jaw())
        return max(seen) - min(seen) > 0.15

    wait_for(moved, stop, every=0.05, seconds=90)


def stop() -> None:
    bgui.shot("driver-3-moving")
    print(f"the jaw went from {min(seen):.2f} to {max(seen):.2f}; {capture().state.phase}: {capture().state.sentence}")
    print("stop:", bpy.ops.flowface.live_capture_stop())
    wait_for(lambda: capture().over, lambda: bgui.after(1.5, end), every=0.05)


def end() -> None:
    print("over:", running().now.notice.text)
    show_panel()
    bgui.after(1.0, lambda: (bgui.shot("driver-4-stopped"), bgui.done(0)))


bgui.after(1.0, begin)
