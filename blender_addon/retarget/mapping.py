"""What of a character each facial action moves, as plain data, and as a file that users share.

A mapping says nothing of a scene: names of shape keys and bones only. What a key gets is the sum over its links of
gain · weight + offset, each held within the link's range; a bone's change adds up in the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ..vendor import codec, face_actions
from ..vendor import fields as wire

FORMAT, VERSION = "flowface-retarget-mapping", 1
"""What a mapping file says of itself."""

NEUTRAL = "neutral"
"""The action of links that are always full: the character's neutral face where that is not its rest pose."""

Triple = tuple[float, float, float]


class BadMapping(Exception):  # noqa: N818 - its text is a sentence for the user
    """A mapping that cannot be used: its text names the field, what was expected, and what to do."""


@dataclass(frozen=True)
class Response:
    """What becomes of an action's weight: gain · weight + offset, held within ``low`` and ``high``; 0 where muted."""

    gain: float = 1.0
    offset: float = 0.0
    low: float = -10.0
    high: float = 10.0
    mute: bool = False

    def of(self, weight: float) -> float:
        """The response to one weight."""
        return 0.0 if self.mute else min(max(self.gain * weight + self.offset, self.low), self.high)


@dataclass(frozen=True)
class KeyLink:
    """An action that drives a shape key; ``key`` is the key's name on the character."""

    action: str
    key: str
    response: Response = field(default_factory=Response)


@dataclass(frozen=True)
class BoneLink:
    """An action that moves a bone: by how much at weight 1, in the bone's own axes at rest.

    ``location`` in units of the armature, ``rotation`` a rotation vector (axis times angle, radians), ``scale`` as
    factors.
    """

    action: str
    bone: str
    location: Triple = (0.0, 0.0, 0.0)
    rotation: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (1.0, 1.0, 1.0)
    response: Response = field(default_factory=Response)


@dataclass(frozen=True)
class EyeLink:
    """What an eye of the character looks with: a bone that turns, or an aim that is moved; "left" or "right"."""

    side: str
    bone: str
    aims: bool = False
    gain: float = 1.0


@dataclass(frozen=True)
class HeadLink:
    """The bones that take on the head's motion: ``neck_share`` of its turn by the neck, the rest by the head.

    ``move`` is how much of the head's travel the head's bone makes, scaled to the character's size; 0 for turns only.
    """

    head: str = ""
    neck: str = ""
    neck_share: float = 0.4
    gain: float = 1.0
    move: float = 0.0


@dataclass(frozen=True)
class Mapping:
    """A mapping by name. With ``swap`` the actor's left drives the character's right and the other way round.

    ``size`` is how far the eyes of the character were apart for which bones' locations were recorded, in units of its
    armature; 0 where that is unknown.
    """

    name: str = ""
    keys: tuple[KeyLink, ...] = ()
    bones: tuple[BoneLink, ...] = ()
    eyes: tuple[EyeLink, ...] = ()
    head: HeadLink = field(default_factory=HeadLink)
    swap: bool = False
    size: float = 0.0

    def action_of(self, link: KeyLink | BoneLink) -> str:
        """The actor's action that drives a link, with left and right swapped where the mapping says so."""
        return face_actions.mirrored(link.action) if self.swap else link.action

    def unmapped(self) -> tuple[str, ...]:
        """The actions that move nothing of the character, in the order of ``ARKIT_ACTIONS``."""
        moved = {link.action for link in self.keys} | {link.action for link in self.bones}
        return tuple(action for action in face_actions.ARKIT_ACTIONS if action not in moved)


def to_text(mapping: Mapping) -> str:
    """A mapping as the text of a file."""
    return json.dumps({"format": FORMAT, "version": VERSION, **wire.fields_to_plain(mapping)}, indent=1) + "\n"


def from_text(text: str, where: str = "The mapping") -> Mapping:
    """The mapping of a file's text; ``where`` is what the file is called in sentences.

    Raises:
        BadMapping: it is no mapping, or one of its fields cannot be used.
    """
    try:
        data = json.loads(text)
        json.dumps(data, ensure_ascii=False).encode()  # halves of characters, which JSON can name, are no text
    except (ValueError, RecursionError):
        raise BadMapping(f"{where} is no JSON file. Choose a mapping that was saved by FlowFace.") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadMapping(f"{where} is no mapping of FlowFace: “format” must be “{FORMAT}”.")
    if data.get("version") != VERSION:
        raise BadMapping(
            f"{where} is of version {str(data.get('version'))[:20]}, this add-on reads version {VERSION}. Update it."
        )
    try:
        return wire.fields_from_plain(Mapping, data, "mapping")
    except codec.ProtocolError as problem:
        raise BadMapping(f"{where} cannot be used: {problem}") from None
