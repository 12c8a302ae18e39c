"""A user's settings for the next take; stored with the scene."""

from __future__ import annotations

from typing import Any

import bpy

from . import choices, compat, solve_options
from .scene import ownership, takes
from .vendor import options

NAME = "flowface"
MAIN_VIEW = "camera"
"""Name of the view of the main footage."""
MAX_NAME = 40


def _is_camera(_settings: Any, obj: Any) -> bool:
    return bool(obj.type == "CAMERA")


def _suggest_camera(chosen: Any, context: Any) -> None:
    """Whoever takes cameras from the scene most often means the one that it renders with."""
    if chosen.cameras == "SCENE" and chosen.camera is None and not any(view.camera for view in chosen.views):
        chosen.camera = context.scene.camera


def _scene_camera() -> Any:
    return bpy.props.PointerProperty(
        name="Scene Camera",
        description="The camera of this scene that filmed this footage; empty to find lens and place from the footage",
        type=bpy.types.Object,
        poll=_is_camera,
    )


def _is_mesh(_settings: Any, obj: Any) -> bool:
    return bool(obj.type == "MESH")


def _use_frame_rate() -> Any:
    return bpy.props.BoolProperty(
        name="Set Frame Rate",
        description="Say at which rate the footage was shot: for image sequences, and videos that play in slow motion",
    )


def _frame_rate() -> Any:
    return bpy.props.FloatProperty(
        name="Frame Rate",
        description="Pictures that the camera took in a second",
        default=24.0,
        min=0.1,
        soft_min=1.0,
        soft_max=240.0,
        max=10000.0,
        precision=3,
    )


def _use_focal_mm() -> Any:
    return bpy.props.BoolProperty(
        name="Set Lens",
        description="Say which lens filmed this footage, instead of finding it from the footage or its EXIF",
    )


def _focal_mm() -> Any:
    return bpy.props.FloatProperty(
        name="Lens",
        description="Focal length of the lens in millimetres, or its equivalent on full frame",
        default=35.0,
        min=0.1,
        soft_min=8.0,
        soft_max=300.0,
        max=100_000.0,
        precision=2,
    )


def _sensor_mm() -> Any:
    return bpy.props.FloatProperty(
        name="Sensor",
        description="What the longer side of the picture is on the camera's sensor, in millimetres; 36 is full frame, "
        "and right for a focal length given as its equivalent there",
        default=36.0,
        min=0.1,
        soft_min=4.0,
        soft_max=70.0,
        max=100_000.0,
        precision=2,
    )


def _face() -> Any:
    return bpy.props.EnumProperty(
        name="Face",
        description="Which face to track where the footage shows several",
        items=(
            ("LARGEST", "Largest", "The face that is largest where the first face is seen"),
            ("POINT", "At a Point", "The face at a point of the picture"),
        ),
    )


def _face_point() -> Any:
    return bpy.props.IntVectorProperty(
        name="Point",
        description="Pixels from the left and from the top of the footage's picture",
        size=2,
        min=0,
    )


def _face_frame() -> Any:
    return bpy.props.IntProperty(
        name="On Frame",
        description="Frame of this footage in which the face is at this point; a video's frames count from 1",
        default=1,
        min=0,
    )


def _all_faces() -> Any:
    return bpy.props.BoolProperty(
        name="All Faces",
        description="Track every face of the footage, each as a head of the same take. The largest one, or the one at "
        "the point, is the first head",
    )


def _is_take(chosen: Any, collection: Any) -> bool:
    return collection in ownership.takes_of(chosen.id_data)


def _active_take(_chosen: Any) -> int:
    take = takes.shown_take(bpy.context)
    return int(bpy.data.collections.find(take.name)) if take is not None else -1


def _choose_take(chosen: Any, index: int) -> None:
    """Mean the take of a row of the list: its armature becomes the active object where another take's object is."""
    take = bpy.data.collections[index]
    chosen.take = take
    layer = bpy.context.view_layer
    rig = ownership.member(take, ownership.ARMATURE)
    if takes.shown_take(bpy.context) != take and bpy.context.mode == "OBJECT":
        layer.objects.active = rig if rig is not None and rig.name in layer.objects else None


class FlowFaceFace(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A further face of the main footage that is to be tracked with the first."""

    face_point: _face_point()  # type: ignore[valid-type]
    face_frame: _face_frame()  # type: ignore[valid-type]


class FlowFaceView(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A further camera that filmed the same performance. ``name`` is the view's name."""

    name: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Name",
        description="What the camera is called in the take",
        maxlen=MAX_NAME,
    )
    footage: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Footage",
        description="What this camera filmed: a video, or a sequence: its folder, a pattern, any of its images, or a "
        "text (.txt) that lists them",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATHS,
    )
    offset: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Started Earlier",
        description="Seconds by which this camera started before the main one, below zero where it started after it. "
        "Frames can be typed as a fraction: 12/25 is twelve frames at 25 frames per second",
        unit="TIME_ABSOLUTE",
        precision=4,
        step=4,
    )
    use_frame_rate: _use_frame_rate()  # type: ignore[valid-type]
    frame_rate: _frame_rate()  # type: ignore[valid-type]
    use_focal_mm: _use_focal_mm()  # type: ignore[valid-type]
    focal_mm: _focal_mm()  # type: ignore[valid-type]
    sensor_mm: _sensor_mm()  # type: ignore[valid-type]
    camera: _scene_camera()  # type: ignore[valid-type]
    face: _face()  # type: ignore[valid-type]
    face_point: _face_point()  # type: ignore[valid-type]
    face_frame: _face_frame()  # type: ignore[valid-type]


class _SolveOptions:
    """A property for each option of a solve."""


_SolveOptions.__annotations__ = solve_options.properties(options.SolveOptions)


class FlowFaceSettings(_SolveOptions, bpy.types.PropertyGroup):  # type: ignore[misc]
    """Settings of a scene."""

    footage: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Footage",
        description="A video, a photograph, or a sequence: its folder, a pattern, any of its images, or a text (.txt) "
        "that lists them",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATHS,
    )
    use_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Frame Range",
        description="Track only some of the footage's frames",
    )
    frame_first: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First",
        description="First frame to track; a video's frames count from 1, an image sequence's as in its file names",
        default=1,
        min=0,
    )
    frame_last: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Last",
        description="Last frame to track",
        default=100,
        min=0,
    )
    match_scene: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Match Scene to Footage",
        description="Set the scene's resolution, frame rate, frame range and camera to those of the footage, for the "
        "first take of the scene",
        default=True,
    )

    head_id: bpy.props.StringProperty(default=choices.DEFAULT_HEAD)  # type: ignore[valid-type]
    head: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Head",
        description="The head model that is fitted and built",
        **choices.stored_as("head_id", choices.head_items),
    )
    aligner_id: bpy.props.StringProperty(default=choices.DEFAULT_ALIGNER)  # type: ignore[valid-type]
    aligner: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Aligner",
        description="What finds the face in the pictures",
        **choices.stored_as("aligner_id", choices.aligner_items),
    )

    use_frame_rate: _use_frame_rate()  # type: ignore[valid-type]
    frame_rate: _frame_rate()  # type: ignore[valid-type]
    use_focal_mm: _use_focal_mm()  # type: ignore[valid-type]
    focal_mm: _focal_mm()  # type: ignore[valid-type]
    sensor_mm: _sensor_mm()  # type: ignore[valid-type]
    neutral_head: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Neutral Head",
        description="A head of this scene, built by FlowFace, whose neutral shape this take is to have: of an earlier "
        "take of this person, or sculpted on",
        type=bpy.types.Object,
        poll=_is_mesh,
    )
    neutral_from: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Neutral File",
        description="A picture of this person's calm face, track.npz of an earlier take of them, or a mesh (.obj) of "
        "the head as this person, whose neutral shape this take is to have; or the word “mica”, for MICA's prediction "
        "on a FLAME head",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATHS,
    )
    use_neutral_frames: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Neutral Frames",
        description="Say in which frames the face is neutral; without it, the calmest frames of the take are used",
    )
    neutral_first: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First Neutral",
        description="First frame in which the face is neutral, counted as the footage's own frames",
        default=1,
        min=0,
    )
    neutral_last: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Last Neutral",
        description="Last frame in which the face is neutral",
        default=1,
        min=0,
    )

    take: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Take",
        description="The take that was chosen in the list",
        type=bpy.types.Collection,
        poll=_is_take,
    )
    active_take: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Take",
        description="Choose this take: it is the one that the panel speaks of, and that its footage is tracked into",
        get=_active_take,
        set=_choose_take,
    )

    views: bpy.props.CollectionProperty(type=FlowFaceView)  # type: ignore[valid-type]
    active_view: bpy.props.IntProperty()  # type: ignore[valid-type]
    cameras: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Cameras",
        description="Where the lens and the place of the cameras come from",
        items=(
            (
                "SOLVE",
                "Solve",
                "Find lens and place of every camera from the footage and build cameras for the take",
            ),
            (
                "SCENE",
                "From the Scene",
                "Lens and place are those of cameras in this scene, measured or matchmoved. They are not changed, and "
                "the head is built where they see it",
            ),
        ),
        update=_suggest_camera,
    )
    camera: _scene_camera()  # type: ignore[valid-type]
    cameras_to_scale: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Scene Is to Scale",
        description="Distances between the scene's cameras are those of reality. Switch off for a camera solve of "
        "unknown scale: then the head, whose size is known, is built in the scene's scale",
        default=True,
    )

    face: _face()  # type: ignore[valid-type]
    face_point: _face_point()  # type: ignore[valid-type]
    face_frame: _face_frame()  # type: ignore[valid-type]
    all_faces: _all_faces()  # type: ignore[valid-type]
    faces: bpy.props.CollectionProperty(type=FlowFaceFace)  # type: ignore[valid-type]


def of(scene: Any) -> Any:
    """The settings of a scene."""
    return getattr(scene, NAME)


def name_view(chosen: Any, view: Any, wanted: str) -> None:
    """Call a view ``wanted``, or ``wanted 2``, … where another is called so already."""
    taken = {MAIN_VIEW, *(other.name for other in chosen.views if other != view)}
    name, number = wanted[:MAX_NAME] or MAIN_VIEW, 1
    while name in taken:
        number += 1
        name = f"{(wanted or MAIN_VIEW)[: MAX_NAME - len(str(number)) - 1]} {number}"
    view.name = name


CLASSES = (FlowFaceFace, FlowFaceView, FlowFaceSettings)
