"""The footage behind the head in renders: a plane far behind everything, as large as what its camera sees there.

Cycles and EEVEE render it in Blender 4.2 to 5.x alike, which the compositor's nodes do not; Workbench, which renders no
textures, does not. Nothing but the camera sees the plane: it lights nothing, and is not drawn in viewports.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from . import axes, footage, materials
from . import ownership as replace

PLATE = "flowface_plate"
"""Of a take's collection: the plane. Of an image: that it was loaded for one."""
VIEW = "flowface_plate_view"
"""Of the plane: the name of its view."""
FAR = 0.5
"""Of the camera's clip end: where the plane stands."""
NODE = "Plate"
RAYS = ("diffuse", "glossy", "transmission", "volume_scatter", "shadow")
"""All that could see the plane besides the camera."""


def plate_of(take: Any) -> Any | None:
    """The plane of a take; None where there is none, or the user deleted it."""
    return replace.member(take, PLATE)


def show(take: Any, view: replace.ShownView) -> bool:
    """Render the footage of a view behind the take; False where its camera has none that can be read."""
    remove(take)
    background = background_of(view)
    if background is None or view.size is None:
        return False
    mesh = bpy.data.meshes.new(f"{take.name} plate")
    plane = replace.take_in(take, PLATE, bpy.data.objects.new(mesh.name, mesh))
    plane[VIEW] = view.name
    plane.hide_viewport, plane.hide_select = True, True
    for ray in RAYS:
        setattr(plane, f"visible_{ray}", False)
    plane.parent = view.camera
    material = picture_material(mesh.name)
    material[materials.TAKE_KEY] = take[replace.TAKE_KEY]
    mesh.materials.append(material)
    refresh(take)
    return True


def remove(take: Any) -> None:
    """Render the footage no more; nothing of the plane stays."""
    plane = take.get(PLATE)
    if isinstance(plane, bpy.types.Object):
        mesh, worn = plane.data, [slot.material for slot in plane.material_slots if slot.material is not None]
        images = {node.image for material in worn for node in material.node_tree.nodes if node.name == NODE}
        bpy.data.objects.remove(plane)
        for block in (mesh, *worn):
            if not block.users:
                bpy.data.batch_remove([block])
        for image in images - {None}:
            if PLATE in image and not image.users:
                bpy.data.images.remove(image)
    if PLATE in take:
        del take[PLATE]


def refresh(take: Any) -> None:
    """Have the plane show what is behind its camera by now, after that was tracked again or moved in time.

    Without a camera, or where the camera has no footage any more, the plane goes.
    """
    plane = plate_of(take)
    if plane is None:
        return
    view = next((view for view in replace.shown_views(take) if view.name == plane.get(VIEW)), None)
    background = background_of(view) if view is not None else None
    if view is None or background is None or view.size is None:
        remove(take)
        return
    plane.parent = view.camera
    _shape(plane, view.size, view.camera.data, background.rotation)
    _place(plane, view.camera)
    material = next((material for material in plane.data.materials if material is not None), None)
    if material is None or NODE not in material.node_tree.nodes:
        return  # the user's own
    if material.users > 1:  # the plane of a full copy of the scene wears it, too
        material = plane.data.materials[0] = material.copy()
    play(material.node_tree, material.node_tree.nodes[NODE], background, view.camera.data)


def background_of(view: replace.ShownView) -> Any | None:
    """The footage behind a view's camera; None where there is none."""
    if view.camera is None or not len(view.camera.data.background_images):
        return None
    background = view.camera.data.background_images[0]
    picture = background.clip if background.source == "MOVIE_CLIP" else background.image
    return background if picture is not None else None


def _shape(plane: Any, size: tuple[int, int], data: Any, turned: float) -> None:
    """Give the plane the picture's shape, where the side that the sensor is fitted to is 1 long, and its corners the
    picture's, which is ``turned`` clockwise (radians) for display."""
    unit = axes.pinhole(axes.Lens(data.sensor_fit, 1.0, 1.0, 0.0, 0.0), 1.0, size)[0]
    width, height = size[0] / unit, size[1] / unit
    corners: NDArray[np.float64] = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64) / 2
    stored = stored_places(corners, turned)
    mesh = plane.data
    if not len(mesh.polygons):
        mesh.from_pydata([(0.0, 0.0, 0.0)] * 4, [], [(0, 1, 2, 3)])
        mesh.uv_layers.new(name="Picture")
    places = np.column_stack([corners * (width, height), np.zeros(4)])
    mesh.vertices.foreach_set("co", places.ravel().astype(np.float32))
    mesh.uv_layers[0].uv.foreach_set("vector", stored.ravel().astype(np.float32))
    mesh.update()


def stored_places(upright: NDArray[np.float64], turned: float) -> NDArray[np.float64]:
    """Where places (n,2) of an upright picture, in its widths and heights from its middle, are in the stored picture,
    which is ``turned`` clockwise (radians) for display: as UV coordinates."""
    cos, sin = round(math.cos(turned)), round(math.sin(turned))
    return upright @ np.array([(cos, sin), (-sin, cos)]) + 0.5


def _place(plane: Any, camera: Any) -> None:
    """Let the plane fill the camera's frustum, whatever becomes of its lens."""
    data, scale = camera.data, max(camera.matrix_world.median_scale, 1e-6)
    plane.location, plane.rotation_euler = (0.0, 0.0, -FAR * data.clip_end / scale), (0.0, 0.0, 0.0)
    sensor = "sensor_height" if data.sensor_fit == "VERTICAL" else "sensor_width"
    for path, index, formula in (
        ("location", 0, "x * s / f * d"),
        ("location", 1, "y * s / f * d"),
        *(("scale", index, "s / f * d") for index in range(3)),
    ):
        plane.driver_remove(path, index)
        driver = plane.driver_add(path, index).driver
        driver.type = "SCRIPTED"
        for name, source in (("s", sensor), ("f", "lens"), ("x", "shift_x"), ("y", "shift_y")):
            if name in formula:
                _variable(driver, name, "CAMERA", data, source)
        driver.expression = formula.replace("d", repr(-plane.location.z))


def _variable(driver: Any, name: str, kind: str, block: Any, path: str) -> None:
    variable = driver.variables.new()
    variable.name, variable.type = name, "SINGLE_PROP"
    target = variable.targets[0]
    target.id_type, target.id, target.data_path = kind, block, path


def picture_material(name: str) -> Any:
    """A material that shines as the picture of its node ``NODE`` does, which ``play`` chooses."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # from Blender 5.0 on every material has nodes and use_nodes does nothing
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    picture, shine, out = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexImage", "Emission", "OutputMaterial"))
    picture.name, picture.extension = NODE, "EXTEND"
    shine.location, out.location = (300.0, 0.0), (500.0, 0.0)
    tree.links.new(picture.outputs["Color"], shine.inputs["Color"])
    tree.links.new(shine.outputs["Emission"], out.inputs["Surface"])
    return material


def play(tree: Any, node: Any, background: Any, data: Any) -> None:
    """Have the material play what the background plays, at the same frames."""
    user = node.image_user
    path = user.path_from_id("frame_offset")
    tree.driver_remove(path)
    user.use_auto_refresh = True
    if background.source == "MOVIE_CLIP":
        clip = background.clip
        node.image = _image_of(clip, node.image)
        user.frame_start, user.frame_duration = clip.frame_start, max(1, clip.frame_duration)
        user.frame_offset = footage.first_number(clip) - 1 + clip.frame_offset
        return
    node.image, shown = background.image, background.image_user
    user.frame_start, user.frame_duration, user.frame_offset = (
        shown.frame_start,
        shown.frame_duration,
        shown.frame_offset,
    )
    if background.image.source in ("MOVIE", "SEQUENCE"):
        driver = tree.driver_add(path).driver
        driver.type = "AVERAGE"
        _variable(driver, "offset", "CAMERA", data, shown.path_from_id("frame_offset"))


def _image_of(clip: Any, had: Any) -> Any:
    """The pictures of a movie clip as an image."""
    if had is not None and had.filepath == clip.filepath:
        return had
    image = bpy.data.images.load(clip.filepath, check_existing=False)
    image.source = "MOVIE" if clip.source == "MOVIE" else "SEQUENCE"
    image[PLATE] = True
    return image
