"""A finished take as the add-on builds it: what a ``take`` result message holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.export.brows import Brows, brows_of
from backend.head_model.appearance import lip_share, mouth_light
from backend.head_model.model import JOINT_NAMES, HeadModel
from backend.track.geometry import neutral_of
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
BROWS = "brows"


def take_result(track: Track, head: HeadModel, name: str, report: Mapping[str, Any]) -> TakeResult:
    """A track as Blender needs it: this person's head, its performance and the cameras.

    Raises:
        UserError: ``head_changed`` where ``head`` is not the one whose coefficients the track holds.
    """
    if head.hash != track.head_hash or len(track.deformation) not in (0, len(head.template)):
        sentence = f"The head “{track.head_id}” has changed since “{name}” was tracked."
        raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
    return TakeResult(
        name=name,
        head=head_geometry(head, neutral_of(head, track)),
        report=report,
        **{item.name: getattr(track, item.name) for item in dataclasses.fields(Performance)},
    )


def head_geometry(head: HeadModel, neutral: NDArray[np.float32]) -> HeadGeometry:
    """The head of a person whose neutral is (V,3), with brows where their place is known."""
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
    )
    brows = brows_of(head)
    return plain if brows is None else _with_brows(plain, brows, head)


def _with_brows(plain: HeadGeometry, brows: Brows, head: HeadModel) -> HeadGeometry:
    """The head with brows after its own vertices, moved by what moves the skin under them."""
    vertices, atlas, faces = len(plain.neutral), len(plain.uv_vertices), len(plain.triangles)
    deltas = np.stack([brows.carried(head, delta) for delta in plain.expression_deltas]).astype(np.float32)
    atlas_places = np.einsum(
        "nk,nkc->nc", brows.points.barycentric, head.uv_vertices[head.uv_triangles[brows.points.triangle]]
    )
    count = len(brows.lift)
    return dataclasses.replace(
        plain,
        neutral=np.concatenate([plain.neutral, brows.positions(head, plain.neutral)]),
        expression_deltas=np.concatenate([plain.expression_deltas, deltas], axis=1),
        triangles=np.concatenate([plain.triangles, brows.triangles + vertices]).astype(np.int32),
        uv_vertices=np.concatenate([plain.uv_vertices, atlas_places]).astype(np.float32),
        uv_triangles=np.concatenate([plain.uv_triangles, brows.triangles + atlas]).astype(np.int32),
        skinning_weights=np.concatenate([plain.skinning_weights, brows.carried(head, plain.skinning_weights)]),
        part_names=(*plain.part_names, BROWS),
        triangle_part=np.concatenate(
            [plain.triangle_part, np.full(len(brows.triangles), len(plain.part_names), np.int32)]
        ),
        quads=np.concatenate([plain.quads, brows.quads + faces]).astype(np.int32),
        light=np.concatenate([plain.light, np.ones(count, np.float32)]),
        lips=np.concatenate([plain.lips, np.zeros(count, np.float32)]),
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
