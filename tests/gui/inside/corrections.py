"""Corrections in a window: a pin dragged with the mouse, a mask drawn by clicks, Refine pressed; screenshots of it all.

Arguments: zip, endpoint of a backend whose takes can be refined, footage; where to press in the panel: the header of
Correct, Add Pin, and Refine once a pin and a mask are listed (x,y each).
"""

from __future__ import annotations

import bgui
import bpy
import numpy as np
from common import addon, install, picture_frame, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage, header, add, refine = bgui.args
FRAME, SIDE = 30, 512


def session():
    return addon("session").current()


def take():
    return addon("scene.ownership").takes_of(bpy.context.scene)[0]


def kept():
    return take().flowface_corrections


def in_window(operator, *arguments, **options) -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        operator(*arguments, **options)


def look(name: str, then) -> None:
    """Take a screenshot once everything has been drawn as it is now."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    bgui.after(1.0, lambda: (bgui.shot(f"corrections-{name}"), then()))


def on_screen(pixel) -> tuple[int, int]:
    """Where a pixel of the picture is on the screen, from its top left."""
    left, right, bottom, top = picture_frame()
    height = bpy.context.window_manager.windows[0].height
    x, y = left + (right - left) * pixel[0] / SIDE, top - (top - bottom) * pixel[1] / SIDE
    return round(x), round(height - 1 - y)


def press(place: str) -> None:
    bgui.click(*(int(number) for number in place.split(",")))


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, track)))


def track() -> None:
    addon("settings").of(bpy.context.scene).footage = footage
    wait_for(lambda: session().connection.name == "CONNECTED", press_track)


def press_track() -> None:
    in_window(bpy.ops.flowface.track)
    wait_for(lambda: session().job is None and session().notice is not None, tracked)


def tracked() -> None:
    print("tracked:", session().notice.text)
    for name in ("FLOWFACE_PT_takes", "FLOWFACE_PT_see", "FLOWFACE_PT_jobs"):
        cls = getattr(bpy.types, name, None)
        if cls is not None:
            bpy.utils.unregister_class(cls)  # a longer window than this one's would show all
    bpy.context.scene.frame_set(FRAME)
    look("1-tracked", open_panel)


def open_panel() -> None:
    press(header)
    look("2-open", add_pin)


def add_pin() -> None:
    press(add)
    bgui.after(0.5, drag_pin)


START, END = np.array([256.0, 300.0]), np.array([276.0, 286.0])


def drag_pin() -> None:
    bgui.move(*on_screen(START))
    bgui.after(0.5, lambda: (bgui._x("mousedown", 1), bgui.after(0.5, half_way)))


def half_way() -> None:
    bgui.move(*on_screen((START + END) / 2))
    bgui.after(0.5, lambda: (bgui.move(*on_screen(END)), look("3-dragging", let_go)))


def let_go() -> None:
    bgui._x("mouseup", 1)
    bgui.after(1.0, pinned)


def pinned() -> None:
    (pin,) = kept().pins
    print("pinned:", pin.view, pin.frame, pin.triangle, [round(value, 1) for value in pin.position])
    assert np.abs(np.array(pin.position) - END).max() < 2.0, list(pin.position)
    assert pin.frame == FRAME
    look("4-pinned", move_pin)


def move_pin() -> None:
    """From another frame: the pin's own is shown, it follows the mouse without a button, and a click puts it down."""
    bpy.context.scene.frame_set(1)
    in_window(bpy.ops.flowface.pin_move, "INVOKE_DEFAULT")
    bgui.after(0.5, lambda: (bgui.move(*on_screen(START)), bgui.after(0.5, put_down)))


MOVED = np.array([262.0, 297.0])


def put_down() -> None:
    bgui.click(*on_screen(MOVED))
    bgui.after(1.0, moved)


def moved() -> None:
    (pin,) = kept().pins
    print("moved:", [round(value, 1) for value in pin.position])
    assert bpy.context.scene.frame_current == FRAME and np.abs(np.array(pin.position) - MOVED).max() < 2.5
    bpy.ops.ed.undo()
    assert np.abs(np.array(kept().pins[0].position) - END).max() < 2.0, "moving is one undo step"
    bpy.ops.ed.redo()
    bpy.context.scene.frame_set(FRAME)
    cancelled_pin()


def cancelled_pin() -> None:
    """Esc while dragging leaves nothing."""
    in_window(bpy.ops.flowface.pin_add, "INVOKE_DEFAULT")

    def esc() -> None:
        bgui.key("Escape")
        bgui.after(0.5, lambda: (bgui._x("mouseup", 1), bgui.after(0.5, draw_mask)))

    def down() -> None:
        bgui._x("mousedown", 1)
        bgui.after(0.5, lambda: (bgui.move(*on_screen((230, 190))), bgui.after(0.5, esc)))

    bgui.after(0.5, lambda: (bgui.move(*on_screen((220, 200))), bgui.after(0.5, down)))


CORNERS = [(180.0, 230.0), (230.0, 220.0), (235.0, 270.0), (185.0, 280.0)]


def draw_mask() -> None:
    assert len(kept().pins) == 1, "Esc leaves the pins as they were"
    in_window(bpy.ops.flowface.mask_draw, "INVOKE_DEFAULT")
    bgui.after(0.5, lambda: corner(0))


def corner(number: int) -> None:
    if number == len(CORNERS):
        look("5-drawing", lambda: (bgui.key("Return"), bgui.after(1.0, masked)))
        return
    bgui.click(*on_screen(CORNERS[number]))
    bgui.after(0.5, lambda: corner(number + 1))


def masked() -> None:
    (mask,) = kept().masks
    print("masked:", mask.first, mask.last, [[round(v) for v in c.position] for c in mask.polygon])
    found = np.array([tuple(c.position) for c in mask.polygon])
    assert np.abs(found - CORNERS).max() < 2.5, found
    mask.follows, mask.last = True, FRAME + 3
    bpy.context.scene.frame_set(FRAME + 3)
    look("6-mask-follows", back)


def back() -> None:
    session().notice = None  # which is as high as its text is long
    bpy.context.scene.frame_set(FRAME)
    look("7-before-refine", press_refine)


def press_refine() -> None:
    press(refine)
    wait_for(lambda: session().job is None and session().notice is not None, refined)


def refined() -> None:
    print("refined:", session().notice.text)
    assert not session().notice.is_error
    look("8-refined", undo)


def undo() -> None:
    bpy.ops.ed.undo()
    print("after undo:", len(addon("scene.versions_of_take").all_of(take())), "version,", len(kept().pins), "pin")
    look("9-undone", lambda: bgui.done(0))


bgui.after(1.0, begin)
