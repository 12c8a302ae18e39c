"""A take's corrections: added, counted, copied with it, and said as a job holds to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..vendor import corrections as contract
from . import versions_of_take as versions
from .surface import SurfacePoint

NAME = "flowface_corrections"
"""The collection's property that holds them (see ``correction_properties``)."""


def corrections_of(collection: Any) -> Any:
    """The corrections of a take."""
    return getattr(collection, NAME)


def add_pin(collection: Any, view: str, frame: int, point: SurfacePoint, position: tuple[float, float]) -> contract.Pin:
    """Pin a point of the head to a position in a view's picture at a frame; it becomes the chosen pin."""
    kept = corrections_of(collection)
    pin = kept.pins.add()
    pin.name = _free_name("Pin", [other.name for other in kept.pins])
    pin.view, pin.frame, pin.triangle = view, frame, point.triangle
    pin.barycentric, pin.position = point.barycentric, position
    pin.head = _head_of(collection)
    kept.active_pin = len(kept.pins) - 1
    return pin_of(pin)


def _head_of(collection: Any) -> str:
    """The head model of the version that a take shows; "" where that is not known."""
    version = versions.current(collection)
    return version.head if version is not None else ""


def on_this_head(collection: Any, pin: Any) -> bool:
    """False where a pin was set on a version with another head model, whose triangles are others."""
    now = _head_of(collection)
    return not pin.head or not now or pin.head == now


def add_mask(
    collection: Any,
    view: str,
    frames: tuple[int, int],
    drawn_at: int,
    corners: Sequence[tuple[tuple[float, float], tuple[float, float, float]]] = (),
    *,
    follows: bool = False,
) -> None:
    """Mask a region of a view's picture, without ``corners`` all of it; each is a pixel and its place at the head."""
    kept = corrections_of(collection)
    mask = kept.masks.add()
    mask.name = _free_name("Mask", [other.name for other in kept.masks])
    mask.view, (mask.first, mask.last), mask.drawn_at, mask.follows = view, frames, drawn_at, follows
    for position, place in corners:
        corner = mask.polygon.add()
        corner.position, corner.place = position, place
    kept.active_mask = len(kept.masks) - 1


def hold_key(collection: Any, frame: int, channel: str, value: Sequence[float]) -> None:
    """Hold a channel's value at a frame, in place of one that was held there before."""
    kept = corrections_of(collection)
    same = (index for index, key in enumerate(kept.held_keys) if (key.frame, key.channel) == (frame, channel))
    index = next(same, len(kept.held_keys))
    key = kept.held_keys[index] if index < len(kept.held_keys) else kept.held_keys.add()
    key.frame, key.channel = frame, channel
    key.value = (*value, *[0.0] * (3 - len(value)))
    kept.active_key = index


def _free_name(what: str, taken: Sequence[str]) -> str:
    number = 1
    while f"{what} {number}" in taken:
        number += 1
    return f"{what} {number}"


def pin_of(pin: Any) -> contract.Pin:
    """A kept pin as a job says it; raises ProtocolError."""
    a, b, _ = (min(max(float(weight), 0.0), 1.0) for weight in pin.barycentric)
    weights = (a, b, max(0.0, 1.0 - a - b))  # single precision is off by some 1e-8
    return contract.Pin(pin.view, pin.frame, pin.triangle, weights, tuple(pin.position), pin.sigma_px)


def mask_of(mask: Any) -> contract.Mask:
    """A kept mask as a job says it; raises ProtocolError."""
    return contract.Mask(
        mask.view,
        None if mask.all_frames else (mask.first, mask.last),
        tuple((float(corner.position[0]), float(corner.position[1])) for corner in mask.polygon),
        mask.drawn_at if mask.follows and len(mask.polygon) else None,
    )


def key_of(key: Any) -> contract.HeldKey:
    """A kept key as a job says it; raises ProtocolError."""
    return contract.HeldKey(key.frame, key.channel, tuple(key.value)[: contract.CHANNELS.get(key.channel, 1)])


def hides(mask: Any, number: int) -> bool:
    """True where a mask counts at a frame of the footage."""
    return bool(mask.all_frames or mask.first <= number <= mask.last)


def copy(source: Any, target: Any) -> None:
    """Give a copy of a take, which is a copy of its collection's properties, the same corrections."""
    if hasattr(source, NAME):
        _copy_group(corrections_of(source), corrections_of(target))


def _copy_group(source: Any, target: Any) -> None:
    for name, prop in source.bl_rna.properties.items():
        if prop.type == "COLLECTION":
            getattr(target, name).clear()
            for item in getattr(source, name):
                _copy_group(item, getattr(target, name).add())
        elif not prop.is_readonly and name != "rna_type":
            setattr(target, name, getattr(source, name))
