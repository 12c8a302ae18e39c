"""Head from Photographs in a window: the photographs, the head that is made of them, from before and from the side.

Arguments: zip, endpoint, a folder, the photographs' names in it.
"""

from __future__ import annotations

from math import cos, radians, sin

import bgui
import bpy
from common import addon, install, show_panel, show_sidebar, viewport, wait_for
from mathutils import Vector

package, endpoint, folder, *names = bgui.args


def session():
    return addon("session").current()


def take():
    return addon("scene.ownership").takes_of(bpy.context.scene)[0]


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, choose)))


def choose() -> None:
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, lambda: bgui.after(1.0, press), seconds=60)


def press() -> None:
    bgui.shot("photographs-1-ready")
    window, area, _ = viewport()
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        files = [{"name": name} for name in names]
        print("made:", bpy.ops.flowface.head_from_photographs(directory=f"{folder}/", files=files))
    wait_for(lambda: session().job is None or session().job.fraction > 0.1, progress, every=0.05)


def progress() -> None:
    bgui.after(0.3, lambda: bgui.shot("photographs-2-progress"))
    wait_for(lambda: session().job is None and session().notice is not None, lambda: bgui.after(2.0, result))


def result() -> None:
    print("notice:", session().notice.text)
    if session().notice.is_error:
        bgui.shot("photographs-failed")
        bgui.done(4)
        return
    head = take()["flowface_head"]
    print(
        "keys:", len(head.data.shape_keys.key_blocks) - 1, "cameras:", sum(o.type == "CAMERA" for o in take().objects)
    )
    textures = [n for s in head.material_slots for n in s.material.node_tree.nodes if n.type == "TEX_IMAGE"]
    print("skin:", sorted({node.image.name for node in textures if node.image is not None}))
    bgui.shot("photographs-3-result")
    space = viewport()[1].spaces[0]
    space.shading.type, space.overlay.show_overlays, space.show_gizmo = "MATERIAL", False, False
    view = space.region_3d
    view.view_perspective = "PERSP"
    view.view_location, view.view_distance = take()["flowface_armature"].matrix_world.translation, 0.6
    turn(0.0)
    bgui.after(15.0, lambda: (bgui.shot("photographs-4-front"), side()))  # shaders are compiled meanwhile


def turn(degrees: float) -> None:
    """Look at the head from so far to its left."""
    towards = Vector((sin(radians(degrees)), -cos(radians(degrees)), 0.1))
    viewport()[1].spaces[0].region_3d.view_rotation = towards.to_track_quat("Z", "Y")


def side() -> None:
    turn(45.0)
    bgui.after(4.0, lambda: (bgui.shot("photographs-5-side"), bgui.done(0)))


bgui.after(1.0, begin)
