"""Wrinkles in a window: switched on in the panel with the mouse, and what an edited key makes of them; screenshots.

Arguments: zip, endpoint of a backend whose jobs end in a take with wrinkles, footage, where the switch is (x, y).
"""

from __future__ import annotations

import bgui
import bpy
import numpy as np
from common import addon, install, show_panel, show_sidebar, viewport, wait_for
from mathutils import Vector

package, endpoint, footage, switch_x, switch_y = bgui.args
RAISED = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")


def session():
    return addon("session").current()


def take():
    return addon("scene.ownership").takes_of(bpy.context.scene)[0]


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, track)))


def track() -> None:
    addon("settings").of(bpy.context.scene).footage = footage
    wait_for(lambda: session().connection.name == "CONNECTED", press)


def press() -> None:
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        bpy.ops.flowface.track()
    wait_for(lambda: session().job is None and session().notice is not None, near)


def near() -> None:
    """Look at the forehead of the head at rest, in Material Preview."""
    print("tracked:", session().notice.text)
    head = take()["flowface_head"]
    for block in (head, head.data.shape_keys, head.parent):
        block.animation_data_clear()
    for key in head.data.shape_keys.key_blocks[1:]:
        key.value = 0.0
    for bone in head.parent.pose.bones:
        bone.matrix_basis.identity()
    take().flowface_wrinkles_shown = False
    bpy.context.view_layer.update()
    bpy.context.scene.camera.hide_viewport = True
    space = viewport()[1].spaces[0]
    space.shading.type, space.overlay.show_overlays, space.show_gizmo = "MATERIAL", False, False
    points = np.array([head.matrix_world @ vertex.co for vertex in head.data.vertices])
    forehead = points[points[:, 2] > points[:, 2].max() - 0.09]
    view = space.region_3d
    view.view_perspective = "PERSP"
    towards = Vector((0.25, -1.0, 0.25))
    view.view_rotation = towards.to_track_quat("Z", "Y")
    view.view_location = forehead.mean(axis=0) + np.array([0.0, -0.05, -0.02])
    view.view_distance = 0.2
    bgui.after(4.0, turn_on)


def shot(name: str) -> None:
    """Take a screenshot; tell how bent the shading is from above to below on the forehead, in 255ths: its furrows."""
    image = bpy.data.images.load(bgui.shot(f"wrinkles-{name}"), check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    region = next(region for region in viewport()[1].regions if region.type == "WINDOW")
    x, y = region.x + region.width // 2, region.y + region.height // 2
    part = pixels.reshape(height, width, 4)[y + 90 : y + 220, x - 50 : x + 200, :3].mean(axis=2)
    bent = part[8:] - 2 * part[4:-4] + part[:-8]
    print(f"furrows {name}:", float(255 * np.abs(bent).mean()))


def turn_on() -> None:
    bgui.shot("wrinkles-0-before")
    bgui.click(switch_x, switch_y)
    bgui.after(20.0, on)  # shaders are compiled meanwhile


def on() -> None:
    print("switched on by the mouse:", take().flowface_wrinkles_shown)
    shot("1-neutral")
    raise_brows(1.0)
    bgui.after(4.0, raised)


def raise_brows(value: float) -> None:
    for name in RAISED:
        take()["flowface_head"].data.shape_keys.key_blocks[name].value = value


def raised() -> None:
    shot("2-raised")
    take().flowface_wrinkle_level = 2
    bgui.after(8.0, subdivided)


def subdivided() -> None:
    shot("3-subdivided")
    take().flowface_wrinkles_shown = False
    bgui.after(4.0, off)


def off() -> None:
    shot("4-raised-off")
    raise_brows(0.0)
    bgui.after(4.0, neutral)


def neutral() -> None:
    shot("5-neutral-off")
    bgui.done(0)


bgui.after(1.0, begin)
