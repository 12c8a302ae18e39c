"""Two people in one clip: the larger one tracked, then both picked with the mouse and tracked again; one undo.

Arguments: zip, endpoint of a real backend, footage of two people, where their faces are in it (x, y of 0…1 each).
"""

from __future__ import annotations

import bgui
import bpy
from common import addon, install, picture_frame, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage, *numbers = bgui.args
places = [(float(numbers[at]), float(numbers[at + 1])) for at in (0, 2)]


def session():
    return addon("session").current()


def chosen():
    return addon("settings").of(bpy.context.scene)


def heads() -> list[str]:
    return [take.name for take in addon("scene.ownership").takes_of(bpy.context.scene)]


def in_window(operator, *arguments, **options) -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        operator(*arguments, **options)


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, first)))


def first() -> None:
    settings = chosen()
    settings.footage, settings.use_range, settings.frame_first, settings.frame_last = footage, True, 1, 10
    wait_for(lambda: session().connection.name == "CONNECTED", lambda: track(pick))


def track(then) -> None:
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job is None and session().notice is not None, then)


def pick() -> None:
    print("first:", heads(), session().notice.text)
    click_on(0, lambda: click_on(1, both))


def click_on(person: int, then) -> None:
    """Pick a person's face with the mouse; the second as a further one."""
    in_window(bpy.ops.flowface.pick_face, "INVOKE_DEFAULT", further=person == 1)
    left, right, bottom, top = picture_frame()
    x, y = places[person]
    height = bpy.context.window_manager.windows[0].height
    place = left + (right - left) * x, height - (top - (top - bottom) * y)
    bgui.after(0.5, lambda: (bgui.click(*place), bgui.after(1.0, then)))


def both() -> None:
    settings = chosen()
    print("picked:", settings.face, tuple(settings.face_point), [tuple(face.face_point) for face in settings.faces])
    track(built)


def built() -> None:
    print("both:", heads(), session().notice.text)
    bpy.context.view_layer.objects.active = bpy.data.objects[heads()[1]]
    viewport()[2].tag_redraw()
    bgui.after(1.0, lambda: (bgui.shot("faces"), undo()))


def undo() -> None:
    in_window(bpy.ops.ed.undo)  # the choice of the active object is no step
    bgui.after(1.0, lambda: (print("after undo:", heads()), bgui.done(0)))


bgui.after(1.0, begin)
