"""The panel in every state that a user meets, and the preferences with their check: screenshots to be looked at.

Arguments: zip, an endpoint where nobody listens, a test backend's endpoint, another's whose jobs end in a take, folder
of the footage, where the header of the list of jobs is (x, y). What is true of each state is asserted, and the caller
judges what is printed.
"""

from __future__ import annotations

import bgui
import bpy
from common import EXTENSION, addon, install, show_panel, show_sidebar, viewport, wait_for

package, nowhere, endpoint, performing, folder, *places = bgui.args
jobs_header = tuple(int(place) for place in places)


def session():
    return addon("session").current()


def wanted():
    return bpy.context.preferences.addons[EXTENSION].preferences


def in_window(operator, **options) -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        operator(**options)


def look(name: str, then) -> None:
    """Take a screenshot once the panel has been drawn as it is now."""
    viewport()[2].tag_redraw()
    notice = session().notice
    print(f"{name}: {notice.text if notice else ''}")
    bgui.after(1.0, lambda: (bgui.shot(f"state-{name}"), then()))


def begin() -> None:
    install(package, nowhere)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, fresh)))


def fresh() -> None:
    assert not bpy.ops.flowface.track.poll()
    look("1-fresh", missing)


def missing() -> None:
    wanted().environment = f"{folder}/nothing"
    in_window(bpy.ops.flowface.backend_start)
    assert session().notice.preferences
    look("2-backend-missing", preferences)


def preferences() -> None:
    in_window(bpy.ops.flowface.check)
    in_window(bpy.ops.flowface.preferences)
    wait_for(lambda: not session().check.running, lambda: bgui.after(1.5, checked), seconds=30)


def checked() -> None:
    for finding in session().check.findings:
        print(f"check: {finding.verdict}: {finding.sentence} {finding.hint}")
    bgui.shot("state-3-preferences")
    windows = bpy.context.window_manager.windows
    assert len(windows) == 2, "the preferences have a window of their own"
    with bpy.context.temp_override(window=windows[-1]):
        bpy.ops.wm.window_close()
    wanted().endpoint = endpoint
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, working, seconds=20)


def working() -> None:
    window = viewport()[0]
    window.scene.flowface.footage = f"{folder}/until-cancelled.mp4"
    bpy.data.movieclips.load(f"{folder}/someone.mp4")
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job.fraction == 0.5, lambda: look("4-working", cancel), seconds=30)


def cancel() -> None:
    in_window(bpy.ops.flowface.cancel)
    wait_for(lambda: session().job is None, lambda: look("5-cancelled", unfold), seconds=10)


def unfold() -> None:
    """The list of jobs, with the one that was cancelled."""
    bgui.move(*jobs_header)
    bgui.after(0.5, lambda: (bgui.click(*jobs_header), bgui.after(1.0, perform)))


def perform() -> None:
    wanted().endpoint = performing
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().client.endpoint == performing and session().connection is connected, in_edit_mode)


def in_edit_mode() -> None:
    in_window(bpy.ops.object.mode_set, mode="EDIT")  # of the cube that every Blender begins with
    viewport()[0].scene.flowface.footage = f"{folder}/someone.mp4"
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job.take is not None, lambda: look("6-waits-in-edit-mode", leave), seconds=60)


def leave() -> None:
    assert session().job is not None
    in_window(bpy.ops.object.mode_set, mode="OBJECT")
    wait_for(lambda: session().job is None, lambda: look("7-built", give_action), seconds=30)


def give_action() -> None:
    """Blender tells that an Action was chosen, and its slot is picked."""
    actions = [action for action in bpy.data.actions if addon("compat").ACTION_KEY in action]
    assert actions
    if not addon("compat").LAYERED_ACTIONS:
        bgui.after(0.1, undo)
        return
    posed = next(obj for obj in bpy.data.objects if obj.type == "ARMATURE")
    other = bpy.data.objects.new("other", posed.data)
    viewport()[0].scene.collection.objects.link(other)
    other.animation_data_create().action = posed.animation_data.action
    wait_for(lambda: bpy.data.objects["other"].animation_data.action_slot is not None, undo, seconds=10)


def undo() -> None:
    notice = session().notice
    assert addon("building").still_true(notice)
    in_window(bpy.ops.ed.undo)
    bgui.after(1.0, lambda: (undone(notice), look("8-undone", lambda: bgui.done(0))))


def undone(notice) -> None:
    for _ in range(3):  # what was given an Action is a step of its own
        if addon("building").still_true(notice):
            in_window(bpy.ops.ed.undo)
    assert not addon("building").still_true(notice)


begin()
