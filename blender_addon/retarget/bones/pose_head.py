"""How a character's neck and head take on the motion of a take's head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import armature, axes
from ..drivers import Channel, Formula
from ..mapping import HeadLink, Mapping
from . import head_source, turns
from . import rig as rigs
from .expressions import first_fitting, grouped, linear, rotation
from .formula_parts import formulas_of
from .head_source import Carrier
from .pose_links import rotation_slots, slots

F64 = NDArray[np.float64]

_LEAST = "1e-9"
"""Below this the square of the sine of half a turn is 0: a quaternion in single precision tells no more."""


@dataclass(frozen=True, eq=False)
class _Share:
    """A bone that turns by a share of the head's turn; ``into`` (3,3) leads from the root's axes to its own."""

    bone: Any
    part: float
    into: F64


def formulas(rig: Any, mapping: Mapping, source: Any, carried: float) -> dict[str, Formula]:
    """The drivers of neck and head, by name; ``carried`` is what ``rig.carried`` says of them.

    Raises:
        TooLongError: an expression would be.
    """
    carrier = head_source.carrier_of(source)
    if carrier is None:
        return {}
    variables = [carrier.channel(f"ROT_{axis}") for axis in "WXYZ"]
    terms = head_source.quaternion_terms(carrier)
    found: dict[str, Formula] = {}
    for share in _shares(rig, mapping, carried):
        texts = _turn_texts(share, terms)
        found |= formulas_of(rotation_slots(share.bone), texts, variables)
    return found | _travel(rig, mapping, source, carrier)


def values(rig: Any, mapping: Mapping, source: Any, carried: float, frames: F64) -> dict[str, F64]:
    """The values (T,) of all that the head's motion drives of the armature on scene frames (T,), by name."""
    poses = head_source.poses(source, frames)
    carrier = head_source.carrier_of(source)
    if poses is None or carrier is None:
        return {}
    vectors = turns.vectors(poses[:, :3, :3])
    found: dict[str, F64] = {}
    for share in _shares(rig, mapping, carried):
        turned = axes.rotation_matrices(share.part * (vectors @ share.into.T))
        rows = axes.rotation_values(turned, share.bone.rotation_mode)
        found |= dict(zip(rotation_slots(share.bone), rows.T, strict=True))
    into = _travel_axes(rig, mapping, carrier)
    if into is not None:
        first = _places(source, carrier, _first(source))
        rows = (_places(source, carrier, frames) - first) @ into.T
        found |= dict(zip(slots(rig.pose.bones[mapping.head.head], "location", range(3)), rows.T, strict=True))
    return found


def _shares(rig: Any, mapping: Mapping, carried: float) -> list[_Share]:
    """Neck and head, of those that the armature has, with what each turns by."""
    link, bones = mapping.head, rig.pose.bones
    across = rigs.facing(rig) @ (np.diag([1.0, -1.0, -1.0]) if mapping.swap else np.eye(3))
    parts = {}
    if link.neck in bones:
        parts[link.neck] = link.neck_share if link.head in bones else 1.0
    if link.head in bones:
        parts[link.head] = 1.0 - parts.get(link.neck, 0.0) * carried
    return [
        _Share(bones[name], link.gain * part, np.asarray(rigs.rest(rig, name)[:3, :3].T @ across))
        for name, part in parts.items()
    ]


def _turn_texts(share: _Share, terms: F64) -> Any:
    """The Gibbs vector of a share of the turn whose quaternion is ``terms`` (4,4) · (ff0, ff1, ff2, ff3)."""
    names = [f"ff{index}" for index in range(4)]
    parts = share.into @ terms[1:]

    def build(digits: int) -> list[str]:
        real = grouped(linear(zip(terms[0], names, strict=True), digits))
        vector = [linear(zip(row, names, strict=True), digits) for row in parts]
        if share.part == 1.0:
            gibbs = [text if text == "0" else f"{grouped(text)}/{real}" for text in vector]
        else:
            sine = f"sqrt(max(1-pow({real},2),{_LEAST}))"
            factor = f"tan({share.part:.{digits}g}*atan({sine}/{real}))/{sine}"
            gibbs = [text if text == "0" else f"{grouped(text)}*{factor}" for text in vector]
        return rotation(share.bone.rotation_mode, gibbs, digits)

    return first_fitting(build)


def _travel_axes(rig: Any, mapping: Mapping, carrier: Carrier) -> F64 | None:
    """What leads (3,3) from travel in the root's space to the head bone's location; None where it does not travel."""
    link: HeadLink = mapping.head
    if not link.move or link.head not in rig.pose.bones:
        return None
    own, actor = rigs.face_size(rig, mapping), head_source.eye_distance(carrier)
    size = own / actor if own and actor else 1.0 / (rig.matrix_world.median_scale or 1.0)
    across = rigs.facing(rig) @ (np.diag([-1.0, 1.0, 1.0]) if mapping.swap else np.eye(3))
    return np.asarray(link.move * size * rigs.location_axes(rig, link.head).T @ across)


def _pivot(carrier: Carrier) -> F64:
    """Where the take's neck bends (3,), in the space of what carries its motion."""
    bone = armature.bone_of(carrier.rig.data.bones, "neck")
    if carrier.bone or bone is None:
        return np.zeros(3)
    return np.array(bone.head_local, np.float64)


def _places(source: Any, carrier: Carrier, frames: F64) -> F64:
    """Where the take's neck is (T,3) on scene frames, in the root's space."""
    poses = head_source.poses(source, frames)
    assert poses is not None
    pivot = np.append(_pivot(carrier), 1.0)
    if carrier.bone:
        pivot = np.linalg.inv(carrier.after) @ pivot
    return np.asarray((poses @ pivot)[:, :3])


def _first(source: Any) -> F64:
    return np.array([head_source.first_frame(source)])


def _travel(rig: Any, mapping: Mapping, source: Any, carrier: Carrier) -> dict[str, Formula]:
    into = _travel_axes(rig, mapping, carrier)
    if into is None:
        return {}
    variables: list[Channel] = [carrier.channel(f"ROT_{axis}") for axis in "WXYZ"]
    variables += [carrier.channel(f"LOC_{axis}") for axis in "XYZ"]
    start = _places(source, carrier, _first(source))[0]
    bone = rig.pose.bones[mapping.head.head]
    rows = into @ carrier.before[:3, :3]
    constant = into @ (carrier.before[:3, 3] - start)
    turned = rows @ _turned(_pivot(carrier))  # (3,10)
    pairs = [f"ff{one}*ff{two}" for one in range(4) for two in range(one, 4)]

    def build(digits: int) -> list[str]:
        return [
            linear(
                [
                    *zip(row, ("ff4", "ff5", "ff6"), strict=True),
                    *zip(products, pairs, strict=True),
                    (float(still), "1"),
                ],
                digits,
            )
            for row, products, still in zip(rows, turned, constant, strict=True)
        ]

    return formulas_of(slots(bone, "location", range(3)), first_fitting(build), variables)


def _turned(point: F64) -> F64:
    """A point (3,) turned by a unit quaternion, by the products (10,) WW, WX, … ZZ of its parts: (3,10)."""
    x, y, z = point
    ww, wx, wy, wz, xx, xy, xz, yy, yz, zz = np.eye(10)
    return np.stack(
        [
            x * (ww + xx - yy - zz) + 2 * y * (xy - wz) + 2 * z * (xz + wy),
            2 * x * (xy + wz) + y * (ww - xx + yy - zz) + 2 * z * (yz - wx),
            2 * x * (xz - wy) + 2 * y * (yz + wx) + z * (ww - xx - yy + zz),
        ]
    )
