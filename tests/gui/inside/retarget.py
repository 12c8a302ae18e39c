"""The main path: track footage, add a character, match it, let it follow live, preview, scrub, playblast, go back.

Arguments: zip, endpoint, footage, the character (glTF), the film to write, where the Track button is (x, y in pixels
from the top left). Screenshots are in /out.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage, character, film, track_x, track_y = bgui.args
ticks: list[float] = []


def session():
    return addon("session").current()


def scene():
    return bpy.context.window_manager.windows[0].scene


def in_window(operator, *arguments, **options):
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        return operator(*arguments, **options)


def prepare() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, choose)


def choose() -> None:
    show_panel()
    scene().flowface.footage = footage
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, lambda: bgui.after(1.5, press), seconds=20)


def press() -> None:
    bgui.click(int(track_x), int(track_y))
    wait_for(lambda: "Tracked" in str(session().notice), lambda: bgui.after(1.0, add), seconds=300)


def add() -> None:
    in_window(bpy.ops.import_scene.gltf, filepath=character)
    meshes = [obj for obj in bpy.data.objects if obj.type == "MESH" and "clip" not in obj.name]
    head = next(obj for obj in meshes if "jawOpen" in keys_of(obj))
    window, _, _ = viewport()
    for obj in window.view_layer.objects:
        obj.select_set(obj == head)
    window.view_layer.objects.active = head
    print("add:", in_window(bpy.ops.flowface.retarget_add))
    print("match:", in_window(bpy.ops.flowface.retarget_match))
    print("live:", in_window(bpy.ops.flowface.retarget_live))
    bgui.after(1.0, lambda: (bgui.shot("1-live"), preview()))


def keys_of(obj) -> list[str]:
    keys = obj.data.shape_keys
    return [block.name for block in keys.key_blocks] if keys is not None else []


def preview() -> None:
    print("preview:", in_window(bpy.ops.flowface.retarget_preview))
    print("scenes:", [each.name for each in bpy.data.scenes], "shown:", scene().name)
    bgui.after(3.0, lambda: (show_panel(), bgui.after(2.0, scrub)))


def scrub() -> None:
    bgui.shot("2-preview")
    scene().frame_set(scene().frame_start + 40)
    bgui.after(2.0, lambda: (bgui.shot("3-scrubbed"), play()))


def play() -> None:
    """Play it for two seconds: it goes on, with the sound."""
    before = scene().frame_current
    in_window(bpy.ops.screen.animation_play)

    def stop() -> None:
        in_window(bpy.ops.screen.animation_cancel, restore_frame=False)
        print("played on:", scene().frame_current != before)
        playblast()

    bgui.after(2.0, stop)


def tick() -> float | None:
    ticks.append(time.perf_counter())
    return 0.02


def rendering() -> bool:
    return bpy.app.is_job_running("RENDER")


def playblast() -> None:
    bpy.app.timers.register(tick)
    started = time.perf_counter()
    print("playblast:", in_window(bpy.ops.flowface.retarget_playblast, "EXEC_DEFAULT", filepath=film))

    def done() -> None:
        frames = scene().frame_end - scene().frame_start + 1
        gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
        print(f"film: {Path(film).stat().st_size} bytes of {frames} frames in {time.perf_counter() - started:.1f} s")
        print(f"Blender answered {len(ticks)} times, after {max(gaps):.2f} s at most")
        bpy.app.timers.unregister(tick)
        bgui.shot("5-film")
        cancelled()

    wait_for(rendering, lambda: bgui.after(3.0, lambda: bgui.shot("4-rendering")))
    wait_for(lambda: Path(film).exists(), done, seconds=300)


def cancelled() -> None:
    """A second film, which Esc cancels: nothing of it stays."""
    other = f"{film}.cancelled.mp4"
    in_window(bpy.ops.flowface.retarget_playblast, "EXEC_DEFAULT", filepath=other)

    def escape() -> None:
        bgui.move(400, 400)
        bgui.key("Escape")
        wait_for(lambda: not rendering(), lambda: bgui.after(2.0, look))

    def look() -> None:
        left = [path.name for path in Path(film).parent.iterdir() if "cancelled" in path.name]
        print("left of the cancelled film:", left)
        back()

    wait_for(rendering, lambda: bgui.after(2.0, escape))


def back() -> None:
    here = scene().frame_current
    print("close:", in_window(bpy.ops.flowface.retarget_preview_close))
    made = [obj.name for obj in bpy.data.objects if "flowface_preview" in obj]
    print(
        "scenes:", [each.name for each in bpy.data.scenes], "left:", made, "same frame:", scene().frame_current == here
    )
    bgui.after(1.5, lambda: (bgui.shot("6-back"), bgui.done(0)))


bgui.after(0.5, prepare)
