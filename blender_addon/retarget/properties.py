"""Which characters the takes of a scene drive and how, kept with the scene: linked characters cannot keep it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from ..vendor import face_actions
from . import source
from .mapping import NEUTRAL, BoneLink, EyeLink, HeadLink, KeyLink, Mapping, Response
from .score_properties import FlowFaceScore

NAME = "flowface_retarget"
"""Of a scene: its ``FlowFaceRetarget``."""
on_edit: list[Callable[[Any], None]] = []
"""Called with a scene whenever something of its characters or of their links was edited."""
_quiet = [0]


def _edited(item: Any, _context: Any) -> None:
    if not _quiet[0]:
        for call in on_edit:
            call(item.id_data)


def _actions(_item: Any, _context: Any, typed: str) -> list[str]:
    return [action for action in face_actions.ARKIT_ACTIONS if typed.lower() in action.lower()]


def _poses(_item: Any, _context: Any, typed: str) -> list[str]:
    return [action for action in (NEUTRAL, *face_actions.ARKIT_ACTIONS) if typed.lower() in action.lower()]


@contextlib.contextmanager
def as_one_edit(scene: Any) -> Iterator[None]:
    """Take all that is edited within for one edit."""
    _quiet[0] += 1
    try:
        yield
    finally:
        _quiet[0] -= 1
        if not _quiet[0]:
            for call in on_edit:
                call(scene)


class FlowFaceKeyLink(bpy.types.PropertyGroup):  # type: ignore[misc]
    """An action that drives a shape key."""

    action: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Action", description="ARKit's action that drives it", update=_edited, search=_actions
    )
    key: bpy.props.StringProperty(name="Shape Key", description="The character's shape key", update=_edited)  # type: ignore[valid-type]
    gain: bpy.props.FloatProperty(name="Gain", description="Factor on the weight", default=1.0, update=_edited)  # type: ignore[valid-type]
    offset: bpy.props.FloatProperty(name="Offset", description="Added after the gain", update=_edited)  # type: ignore[valid-type]
    low: bpy.props.FloatProperty(name="From", description="No less than this", default=-10.0, update=_edited)  # type: ignore[valid-type]
    high: bpy.props.FloatProperty(name="To", description="No more than this", default=10.0, update=_edited)  # type: ignore[valid-type]
    mute: bpy.props.BoolProperty(name="Mute", description="Leave this link out", update=_edited)  # type: ignore[valid-type]


class FlowFaceBoneLink(bpy.types.PropertyGroup):  # type: ignore[misc]
    """An action that moves a bone: by so much at weight 1, in the bone's own axes at rest."""

    action: bpy.props.StringProperty(name="Action", description="ARKit's action that drives it", update=_edited)  # type: ignore[valid-type]
    bone: bpy.props.StringProperty(name="Bone", description="The character's bone", update=_edited)  # type: ignore[valid-type]
    location: bpy.props.FloatVectorProperty(name="Location", size=3, subtype="TRANSLATION", update=_edited)  # type: ignore[valid-type]
    rotation: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Rotation", description="Axis times angle", size=3, update=_edited
    )
    scale: bpy.props.FloatVectorProperty(name="Scale", size=3, default=(1.0, 1.0, 1.0), update=_edited)  # type: ignore[valid-type]
    gain: bpy.props.FloatProperty(name="Gain", description="Factor on the action's weight", default=1.0, update=_edited)  # type: ignore[valid-type]
    offset: bpy.props.FloatProperty(name="Offset", description="Added after the gain", update=_edited)  # type: ignore[valid-type]
    low: bpy.props.FloatProperty(name="From", description="No less than this", default=-10.0, update=_edited)  # type: ignore[valid-type]
    high: bpy.props.FloatProperty(name="To", description="No more than this", default=10.0, update=_edited)  # type: ignore[valid-type]
    mute: bpy.props.BoolProperty(name="Mute", description="Leave this link out", update=_edited)  # type: ignore[valid-type]


class FlowFaceEyeLink(bpy.types.PropertyGroup):  # type: ignore[misc]
    """What an eye looks with."""

    side: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Eye",
        items=[("left", "Left", "The character's left eye"), ("right", "Right", "The character's right eye")],
        update=_edited,
    )
    bone: bpy.props.StringProperty(name="Bone", description="The bone that turns the eye, or its aim", update=_edited)  # type: ignore[valid-type]
    aims: bpy.props.BoolProperty(name="Aim", description="The eye looks at this bone, which is moved", update=_edited)  # type: ignore[valid-type]
    gain: bpy.props.FloatProperty(name="Gain", description="Factor on the gaze", default=1.0, update=_edited)  # type: ignore[valid-type]


def _is_source(_target: Any, obj: Any) -> bool:
    return bool(source.places(obj))


def _is_character(_target: Any, obj: Any) -> bool:
    return obj.type in ("MESH", "ARMATURE")


class FlowFaceKept(bpy.types.PropertyGroup):  # type: ignore[misc]
    """What a shape key, called like this, had before it was driven."""

    value: bpy.props.FloatProperty()  # type: ignore[valid-type]
    driven: bpy.props.BoolProperty(description="A driver of its own, which is put aside")  # type: ignore[valid-type]
    driver_mute: bpy.props.BoolProperty(description="Whether that driver was muted")  # type: ignore[valid-type]


class FlowFaceTarget(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A character, or one of its objects, and what drives it."""

    object: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Character",
        description="The mesh whose shape keys, or the armature whose bones follow",
        type=bpy.types.Object,
        poll=_is_character,
    )
    source: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Source", description="The head that it follows", type=bpy.types.Object, poll=_is_source, update=_edited
    )
    mapping_name: bpy.props.StringProperty(name="Mapping", description="What its mapping is called")  # type: ignore[valid-type]
    keys: bpy.props.CollectionProperty(type=FlowFaceKeyLink)  # type: ignore[valid-type]
    active_key: bpy.props.IntProperty(name="Link")  # type: ignore[valid-type]
    bones: bpy.props.CollectionProperty(type=FlowFaceBoneLink)  # type: ignore[valid-type]
    active_bone: bpy.props.IntProperty(name="Bone Link")  # type: ignore[valid-type]
    eyes: bpy.props.CollectionProperty(type=FlowFaceEyeLink)  # type: ignore[valid-type]
    head_bone: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Head", description="The bone that takes on the head's turn", update=_edited
    )
    neck_bone: bpy.props.StringProperty(name="Neck", description="The bone that takes on a share of it", update=_edited)  # type: ignore[valid-type]
    neck_share: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Neck Share", description="Of the head's turn", default=0.4, min=0.0, max=1.0, update=_edited
    )
    head_gain: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Turn", description="Factor on the head's turn", default=1.0, update=_edited
    )
    head_move: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Travel",
        description="Of the head's travel, scaled to the character's size; 0 for turns only",
        default=0.0,
        update=_edited,
    )
    swap: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Swap Sides",
        description="The actor's left drives the character's right and the other way round",
        update=_edited,
    )
    posed_action: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Action", description="The action whose pose is recorded; neutral for the face at rest", search=_poses
    )
    size: bpy.props.FloatProperty(  # type: ignore[valid-type]
        description="How far the eyes are apart of the character whose bones' locations these are; 0 where unknown"
    )
    live: bpy.props.BoolProperty(name="Live", description="It follows by drivers")  # type: ignore[valid-type]
    problem: bpy.props.StringProperty(description="Why its drivers are not what its mapping says")  # type: ignore[valid-type]
    linked: bpy.props.PointerProperty(  # type: ignore[valid-type]
        description="The source's shape keys that its drivers read", type=bpy.types.Key
    )
    kept: bpy.props.CollectionProperty(type=FlowFaceKept)  # type: ignore[valid-type]
    baked: bpy.props.PointerProperty(description="The Action that was baked", type=bpy.types.Action)  # type: ignore[valid-type]
    carrier: bpy.props.StringProperty(description="What has the head's motion that its drivers read")  # type: ignore[valid-type]
    carried: bpy.props.FloatProperty(description="Of the neck's turn, that the head goes along with")  # type: ignore[valid-type]
    carried_pair: bpy.props.StringProperty(description="The neck and the head of which that is said")  # type: ignore[valid-type]
    before: bpy.props.PointerProperty(description="The Action that it had before", type=bpy.types.Action)  # type: ignore[valid-type]
    scores: bpy.props.CollectionProperty(type=FlowFaceScore)  # type: ignore[valid-type]
    before_slot: bpy.props.StringProperty(description="The identifier of the slot that it had in it")  # type: ignore[valid-type]


class FlowFaceRetarget(bpy.types.PropertyGroup):  # type: ignore[misc]
    """All characters that are driven."""

    targets: bpy.props.CollectionProperty(type=FlowFaceTarget)  # type: ignore[valid-type]
    active: bpy.props.IntProperty(name="Character")  # type: ignore[valid-type]
    preview_still: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Faces to the Front", description="Show faces from their front, whatever the heads do", default=True
    )
    playblast_height: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Height",
        description="Of a playblast, without its line of names, in pixels",
        items=[(height, height, "") for height in ("360", "480", "720", "1080")],
        default="480",
    )


CLASSES = (
    *(FlowFaceKeyLink, FlowFaceBoneLink, FlowFaceEyeLink),
    *(FlowFaceKept, FlowFaceScore, FlowFaceTarget, FlowFaceRetarget),
)


def retarget_property() -> Any:
    """The property of a scene."""
    return bpy.props.PointerProperty(type=FlowFaceRetarget)


def mapping_of(target: Any) -> Mapping:
    """The mapping of a ``FlowFaceTarget``."""
    return Mapping(
        target.mapping_name,
        tuple(KeyLink(link.action, link.key, _response(link)) for link in target.keys),
        tuple(
            BoneLink(
                link.action, link.bone, tuple(link.location), tuple(link.rotation), tuple(link.scale), _response(link)
            )
            for link in target.bones
        ),
        tuple(EyeLink(link.side, link.bone, link.aims, link.gain) for link in target.eyes),
        HeadLink(target.head_bone, target.neck_bone, target.neck_share, target.head_gain, target.head_move),
        target.swap,
        target.size,
    )


def write_mapping(target: Any, mapping: Mapping) -> None:
    """Give a ``FlowFaceTarget`` a mapping in place of the one it has."""
    with as_one_edit(target.id_data):
        target.mapping_name, target.swap, target.size = mapping.name, mapping.swap, mapping.size
        for links, wanted in ((target.keys, mapping.keys), (target.bones, mapping.bones), (target.eyes, mapping.eyes)):
            links.clear()
            for link in wanted:
                _fill(links.add(), link)
        head = mapping.head
        target.head_bone, target.neck_bone, target.neck_share = head.head, head.neck, head.neck_share
        target.head_gain, target.head_move = head.gain, head.move


def _fill(item: Any, link: KeyLink | BoneLink | EyeLink) -> None:
    for name, value in vars(link).items():
        if isinstance(value, Response):
            for part, number in vars(value).items():
                setattr(item, part, number)
        else:
            setattr(item, name, value)


def _response(link: Any) -> Response:
    return Response(link.gain, link.offset, link.low, link.high, link.mute)
