"""A finished take as the add-on builds it: what a ``take`` result message holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.types import Wrinkles
from backend.detail.wire import to_wire
from backend.errors import ErrorCode, UserError
from backend.export.hair import with_hair
from backend.head_model.appearance import lip_share, mouth_light
from backend.head_model.brows import brow_hair
from backend.head_model.lashes import lash_hair
from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints, surface_positions
from backend.head_model.quads import kept_pairs
from backend.head_model.teeth import teeth_of
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track
from protocol.take import HeadGeometry, Performance, TakeResult

PARTS: dict[str, tuple[str, ...]] = {
    "skin": ("skin",),
    "eyes": ("left_eyeball", "right_eyeball"),
    "teeth": ("teeth",),
    "tongue": ("tongue",),
    "mouth": ("mouth_bag", "gums"),
    "lashes": ("lashes",),
}
"""Material slots and the regions of the head that each consists of."""
OUTER_EYE_CORNERS = (36, 45)
"""Of iBUG-68's points."""


def take_result(
    track: Track,
    head: HeadModel,
    name: str,
    report: Mapping[str, Any],
    texture: bytes = b"",
    wrinkles: Wrinkles | None = None,
) -> TakeResult:
    """A track as Blender needs it: this person's head, its performance and the cameras. ``texture`` is a PNG.

    Raises:
        ProtocolError: ``bad_take`` where the wrinkles are none that may travel.
        UserError: ``head_changed`` where ``head`` is not the one whose coefficients the track holds.
    """
    sizes = {len(track.deformation), track.action_corrections.shape[1]}
    if head.hash != track.head_hash or not sizes <= {0, len(head.template)}:
        sentence = f"The head “{track.head_id}” has changed since “{name}” was tracked."
        raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
    shown = head_geometry(person_of(head, track), neutral_of(head, track))
    return TakeResult(
        name=name,
        head=dataclasses.replace(shown, head_hash=track.head_hash),
        report=report,
        texture=np.frombuffer(texture, np.uint8),
        wrinkles=to_wire(wrinkles) if wrinkles is not None else np.zeros((4, 0, 0), np.float16),
        **{item.name: getattr(track, item.name) for item in dataclasses.fields(Performance)},
    )


@lru_cache(maxsize=4)
def own_triangles(head: HeadModel) -> NDArray[np.int64]:
    """(F',) which of the head's triangles ``HeadGeometry.triangles`` begins with; those after it are hair and teeth."""
    number = {tuple(corners): index for index, corners in enumerate(head.triangles.tolist())}
    shown = head_geometry(head, head.template).triangles
    own = shown[(shown < head.vertex_count).all(axis=1)]
    return np.array([number[tuple(corners)] for corners in own.tolist()], np.int64)


def head_geometry(head: HeadModel, neutral: NDArray[np.float32]) -> HeadGeometry:
    """The head of a person whose neutral is (V,3), with brows where their place is known, lashes and single teeth."""
    part_names, triangle_part = triangle_parts(head)
    plain = HeadGeometry(
        head_id=head.id,
        head_hash=head.hash,
        neutral=neutral,
        expression_names=head.expression_names,
        expression_deltas=head.expression_basis,
        expression_bounds=head.expression_bounds,
        triangles=head.triangles,
        uv_vertices=head.uv_vertices,
        uv_triangles=head.uv_triangles,
        joint_names=JOINT_NAMES,
        joint_parents=head.parents,
        joints=head.joints(neutral),
        skinning_weights=head.skinning_weights,
        part_names=part_names,
        triangle_part=triangle_part,
        quads=head.quads,
        own_vertices=head.vertex_count,
        light=mouth_light(head),
        lips=lip_share(head),
        inter_ocular=_inter_ocular(head, neutral),
    )
    in_mouth = (piece.hair(head, neutral) for piece in teeth_of(head))
    for hair in (brow_hair(head, neutral), lash_hair(head, neutral), *in_mouth):
        if hair is not None:
            plain = with_hair(_without(plain, hair.part), hair)
    return plain


def _inter_ocular(head: HeadModel, neutral: NDArray[np.float32]) -> float:
    """Metres between the outer eye corners, as the fit measures it; 0 for a head that does not name them."""
    points = head.landmarks.get("ibug68", ())
    if not isinstance(points, SurfacePoints) or len(points) <= max(OUTER_EYE_CORNERS):
        return 0.0
    corners = surface_positions(points, head.triangles, neutral)[list(OUTER_EYE_CORNERS)]
    return float(np.linalg.norm(corners[0] - corners[1]))


def _without(head: HeadGeometry, part: str) -> HeadGeometry:
    """The head without the faces of a part; its vertices stay, so that those of all takes are in the same order."""
    if part not in head.part_names:
        return head
    kept = head.triangle_part != head.part_names.index(part)
    return dataclasses.replace(
        head,
        triangles=head.triangles[kept],
        uv_triangles=head.uv_triangles[kept],
        triangle_part=head.triangle_part[kept],
        quads=kept_pairs(head.quads, kept),
    )


def triangle_parts(head: HeadModel) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The material slots that the head has and the slot of each triangle (F,); what is nothing else is skin."""
    names = ["skin"]
    part = np.zeros(len(head.triangles), np.int32)
    for name, regions in list(PARTS.items())[1:]:
        inside = np.zeros(head.vertex_count, bool)
        for region in regions:
            inside |= head.regions.get(region, False)
        members = inside[head.triangles].all(axis=1)
        members[head.quads] = members[head.quads].all(axis=1, keepdims=True)
        if members.any():
            part[members] = len(names)
            names.append(name)
    return tuple(names), part
