"""What a user corrects of a take, kept with its collection: pins, masks and keys that the next refinement holds to.

Frames are the first view's footage frames, positions pixels of a view's picture as displayed, see
``protocol.corrections``: nothing here changes where the take is moved, scaled or retimed.
"""

from __future__ import annotations

from typing import Any

import bpy

from .scene import corrections
from .vendor import corrections as contract

FOOTAGE_FRAME = "Frame of the footage; a video's frames count from 1"


def _view() -> Any:
    return bpy.props.StringProperty(name="View", description="The view in whose picture it is")


class FlowFacePin(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A point of the head's surface and where it belongs in a picture."""

    name: bpy.props.StringProperty(name="Name", description="What this pin is called in the list")  # type: ignore[valid-type]
    view: _view()  # type: ignore[valid-type]
    frame: bpy.props.IntProperty(name="Frame", description=FOOTAGE_FRAME)  # type: ignore[valid-type]
    head: bpy.props.StringProperty(name="Head", description="The head model whose triangle it is on")  # type: ignore[valid-type]
    triangle: bpy.props.IntProperty(name="Triangle", min=0)  # type: ignore[valid-type]
    barycentric: bpy.props.FloatVectorProperty(name="Weights", size=3)  # type: ignore[valid-type]
    position: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Position",
        description="Where the point belongs: pixels from the left and from the top of the picture",
        size=2,
        precision=1,
        step=10,
    )
    sigma_px: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Accuracy",
        description="Pixels by which the pin may be off: the smaller, the more firmly the head is held there",
        default=contract.PIN_SIGMA_PX,
        min=contract.SIGMAS[0],
        max=contract.SIGMAS[1],
        soft_min=0.1,
        soft_max=10.0,
    )


class FlowFaceCorner(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A corner of a mask: in the picture, and beside the head, where the mask follows that."""

    position: bpy.props.FloatVectorProperty(name="Position", size=2)  # type: ignore[valid-type]
    place: bpy.props.FloatVectorProperty(name="Place", description="In the head's space", size=3)  # type: ignore[valid-type]


class FlowFaceMask(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A region of a picture in which nothing that was seen of the face counts."""

    name: bpy.props.StringProperty(name="Name", description="What this mask is called in the list")  # type: ignore[valid-type]
    view: _view()  # type: ignore[valid-type]
    all_frames: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="All Frames", description="Ignore the region throughout the take"
    )
    first: bpy.props.IntProperty(name="First", description=f"First that it hides. {FOOTAGE_FRAME}")  # type: ignore[valid-type]
    last: bpy.props.IntProperty(name="Last", description=f"Last that it hides. {FOOTAGE_FRAME}")  # type: ignore[valid-type]
    polygon: bpy.props.CollectionProperty(type=FlowFaceCorner)  # type: ignore[valid-type]
    drawn_at: bpy.props.IntProperty(name="Drawn at")  # type: ignore[valid-type]
    follows: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Follows the Head",
        description="The region moves with the head from the frame on which it was drawn; else it stands still",
    )


class FlowFaceHeldKey(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A value that the user has set at a frame and wants kept."""

    frame: bpy.props.IntProperty(name="Frame", description=FOOTAGE_FRAME)  # type: ignore[valid-type]
    channel: bpy.props.StringProperty(name="Channel")  # type: ignore[valid-type]
    value: bpy.props.FloatVectorProperty(name="Value", size=3, precision=3)  # type: ignore[valid-type]


class FlowFaceCorrections(bpy.types.PropertyGroup):  # type: ignore[misc]
    """All corrections of a take."""

    pins: bpy.props.CollectionProperty(type=FlowFacePin)  # type: ignore[valid-type]
    active_pin: bpy.props.IntProperty(name="Pin")  # type: ignore[valid-type]
    masks: bpy.props.CollectionProperty(type=FlowFaceMask)  # type: ignore[valid-type]
    active_mask: bpy.props.IntProperty(name="Mask")  # type: ignore[valid-type]
    held_keys: bpy.props.CollectionProperty(type=FlowFaceHeldKey)  # type: ignore[valid-type]
    active_key: bpy.props.IntProperty(name="Key")  # type: ignore[valid-type]
    show: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Show in Viewports",
        description="Draw pins and masks of the shown frame where a viewport looks through the take's camera",
        default=True,
    )


NAME = corrections.NAME


def corrections_property() -> Any:
    """The property of a take's collection."""
    return bpy.props.PointerProperty(type=FlowFaceCorrections)


CLASSES = (FlowFacePin, FlowFaceCorner, FlowFaceMask, FlowFaceHeldKey, FlowFaceCorrections)
