"""A character of this file and an override of one of another file are driven and baked, through saving and opening.

Arguments: zip, endpoint. What the character had before comes back. The last screenshot in /out shows the panel.
"""

from __future__ import annotations

import bgui
import bpy
import numpy as np
from common import addon, install, show_panel, show_sidebar

package, endpoint = bgui.args
CHARACTER, SHOT = (f"{bpy.app.tempdir}/{name}.blend" for name in ("character", "shot"))
FRAMES = np.arange(1.0, 101.0)
COMPARED = ("jawOpen", "jawLeft", "mouthSmileRight")


def names():
    return addon("vendor").face_actions.ARKIT_ACTIONS


def target():
    return bpy.context.scene.flowface_retarget.targets[0]


def shown(obj, key: str) -> float:
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return evaluated.data.shape_keys.key_blocks[key].value


def weights(action: str) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(FRAMES / 10 + names().index(action))


def assert_follows(what: str) -> None:
    for frame in (5, 40, 77):
        bpy.context.scene.frame_set(frame)
        for action in COMPARED:
            assert abs(shown(target().object, action) - weights(action)[frame - 1]) < 1e-5, (what, action, frame)
    print(f"follows: {what}")


def new_actor():
    actor = bpy.data.objects.new("actor", None)
    bpy.context.scene.collection.objects.link(actor)
    for action in names():
        actor[action] = 0.0
    writer = addon("compat").ActionWriter(actor, "performance")
    for action in names():
        writer.curve(f'["{action}"]', 0, "ARKit", FRAMES, weights(action), np.zeros(len(FRAMES), bool))
    return actor


def new_character():
    """A ball with a key for each action, of which one is keyed and one has a driver."""
    bpy.ops.mesh.primitive_uv_sphere_add()
    ball = bpy.context.object
    ball.shape_key_add(name="Basis")
    for index, action in enumerate(names()):
        ball.shape_key_add(name=action, from_mix=False).data[index].co.z += 0.5
    blocks = ball.data.shape_keys.key_blocks
    blocks["jawOpen"].value = 0.3
    blocks["jawOpen"].keyframe_insert("value", frame=1)
    blocks["jawLeft"].driver_add("value").driver.expression = "0.125"
    return ball


def empty_scene() -> None:
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.delete()


def here() -> None:
    """A character of this file; then it is saved as another file's."""
    install(package, endpoint)
    empty_scene()
    actor, ball = new_actor(), new_character()
    bpy.ops.flowface.retarget_add()
    target().source = actor
    bpy.ops.flowface.retarget_live()
    assert_follows("live")
    bpy.ops.flowface.retarget_bake()
    assert_follows("baked")
    bpy.ops.flowface.retarget_remove()
    bpy.context.view_layer.update()
    assert abs(shown(ball, "jawOpen") - 0.3) < 1e-6 and abs(shown(ball, "jawLeft") - 0.125) < 1e-6
    collection = bpy.data.collections.new("Character")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(ball)
    bpy.data.objects.remove(actor)
    bpy.ops.wm.save_as_mainfile(filepath=CHARACTER)
    bpy.ops.wm.read_homefile(app_template="")


def linked() -> None:
    """An override in a second file, live."""
    empty_scene()
    actor = new_actor()
    with bpy.data.libraries.load(CHARACTER, link=True) as (_, wanted):
        wanted.collections = ["Character"]
    empty = bpy.data.objects.new("Character", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", wanted.collections[0]
    bpy.context.scene.collection.objects.link(empty)
    empty.select_set(True)
    bpy.context.view_layer.objects.active = empty
    bpy.ops.flowface.retarget_add()
    target().source = actor
    bpy.ops.flowface.retarget_override()
    bpy.ops.flowface.retarget_live()
    assert_follows("override, live")
    save_and_open()


def reopened() -> None:
    assert_follows("override, live, from its file")
    bpy.ops.flowface.retarget_bake()
    assert_follows("override, baked")
    save_and_open()


def baked() -> None:
    assert_follows("override, baked, from its file")
    show_sidebar()


def save_and_open() -> None:
    bpy.ops.wm.save_as_mainfile(filepath=SHOT)
    bpy.ops.wm.open_mainfile(filepath=SHOT)


bgui.steps(
    [(2, here), (1.5, linked), (1.5, reopened), (1.5, baked), (1, show_panel), (2, lambda: bgui.shot("1-override"))]
)
