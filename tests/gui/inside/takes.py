"""Takes in a window: tracked twice, the list and its buttons pressed, versions, start and speed; screenshots of it all.

Arguments: zip, endpoint of a backend whose jobs end in a take, footage.
"""

from __future__ import annotations

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage = bgui.args


def session():
    return addon("session").current()


def takes() -> list:
    return addon("scene.ownership").takes_of(bpy.context.scene)


def in_window(operator, *arguments, **options) -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        operator(*arguments, **options)


def look(name: str, then) -> None:
    """Take a screenshot once the panel has been drawn as it is now."""
    viewport()[2].tag_redraw()
    bgui.after(1.0, lambda: (bgui.shot(f"takes-{name}"), then()))


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, track)))


def track() -> None:
    addon("settings").of(bpy.context.scene).footage = footage
    wait_for(lambda: session().connection.name == "CONNECTED", lambda: press_track(again))


def press_track(then) -> None:
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job is None and session().notice is not None, then)


def again() -> None:
    print("first:", session().notice.text)
    (take,) = takes()
    head = take["flowface_head"]
    head.name = "hero"
    head.modifiers.new("smooth", "SUBSURF")
    look("1-first", lambda: press_track(twice))


def twice() -> None:
    print("second:", session().notice.text)
    (take,) = takes()
    assert take["flowface_head"].name == "hero" and len(take["flowface_head"].modifiers) == 2
    look("2-tracked-twice", duplicate)


def duplicate() -> None:
    in_window(bpy.ops.flowface.take_duplicate, "EXEC_DEFAULT", True)
    assert len(takes()) == 2
    take = addon("scene.takes").shown_take(bpy.context)
    take.flowface_name, take.flowface_start, take.flowface_speed = "Anna", 21.0, 0.5
    look("3-duplicate", show_one)


def show_one() -> None:
    in_window(bpy.ops.flowface.take_show_only, "EXEC_DEFAULT", True)
    assert [take.hide_viewport for take in takes()] == [True, False]
    in_window(bpy.ops.flowface.take_version, "EXEC_DEFAULT", True, version="1")
    in_window(bpy.ops.flowface.take_head_motion, "EXEC_DEFAULT", True, where="CAMERA")
    look("4-one-shown-first-version", delete)


def delete() -> None:
    in_window(bpy.ops.flowface.take_delete, "EXEC_DEFAULT", True)
    assert [take.name for take in takes()] == ["someone"]
    bpy.ops.ed.undo()
    print("after undo:", sorted(take.name for take in takes()))
    look("5-undone", lambda: press_track_for_another_head())


def press_track_for_another_head() -> None:
    """The take says that it was built with other expressions: the panel asks, and waits for the answer."""
    for take in takes():
        take["flowface_head"].data["flowface_expressions"] = ["smirk"]
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job is not None and bool(session().job.question), ask)


def ask() -> None:
    print("asked:", session().job.question)
    look("6-asked", answer)


def answer() -> None:
    in_window(bpy.ops.flowface.build_take, "EXEC_DEFAULT", True, answer="SECOND")
    print("answered:", session().notice.text)
    assert len(takes()) == 3
    in_window(bpy.ops.flowface.take_version_delete, "EXEC_DEFAULT", True)
    look("7-second-take", lambda: bgui.done(0))


bgui.after(1.0, begin)
