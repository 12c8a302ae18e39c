"""A take that arrives during a render: it waits, the panel says for what, and it is built once the render is over.

Arguments: zip, endpoint of a backend whose jobs end in a take, footage.
"""

from __future__ import annotations

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage = bgui.args
LONG = 100_000
"""Frames of a render that does not end by itself within this script."""


def session():
    return addon("session").current()


def takes() -> list:
    return addon("scene.ownership").takes_of(bpy.context.scene)


def rendering() -> bool:
    return bpy.app.is_job_running("RENDER")


def in_window(operator, *arguments, **options) -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        operator(*arguments, **options)


def begin() -> None:
    install(package, endpoint)
    show_sidebar()
    bpy.context.preferences.view.render_display_type = "NONE"
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.filepath, scene.frame_end = f"{bpy.app.tempdir}/frame", LONG
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, start)))


def start() -> None:
    addon("settings").of(bpy.context.scene).footage = footage
    wait_for(lambda: session().connection.name == "CONNECTED", press)


def press() -> None:
    in_window(bpy.ops.flowface.track)
    in_window(bpy.ops.render.render, "INVOKE_DEFAULT", animation=True)
    wait_for(rendering, lambda: wait_for(lambda: session().job is not None and session().job.take is not None, come))


def come() -> None:
    """The take is here; the render goes on, and for two more seconds nothing is built into it."""
    assert rendering()
    print("waits:", addon("building").waits_for(bpy.context))
    viewport()[2].tag_redraw()
    bgui.after(2.0, look)


def look() -> None:
    assert rendering() and not takes() and session().job.take is not None
    frame = bpy.context.scene.frame_current
    bgui.shot("render-1-waits")
    bgui.after(1.0, lambda: stop(frame))


def stop(frame: int) -> None:
    assert bpy.context.scene.frame_current != frame, "the render went on"
    bgui.move(300, 400)
    bgui.key("Escape")
    wait_for(lambda: not rendering(), lambda: wait_for(lambda: bool(takes()), built))


def built() -> None:
    print("built:", session().notice.text)
    bgui.after(1.0, lambda: (bgui.shot("render-2-built"), bgui.done(0)))


begin()
