"""Registers any head to the canonical atlas (DESIGN §4)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.appearance import REGISTERED
from backend.head_model.library import load_head
from backend.head_model.model import BoolArray, HeadModel
from backend.head_model.quads import whole_in_atlas
from backend.head_model.registration import rig
from backend.head_model.registration.actions import carry_actions, lid_gap_mm
from backend.head_model.registration.atlas import Atlas, canonical_atlas
from backend.head_model.registration.checks import require_usable, source_fault
from backend.head_model.registration.correspondence import REACH, Correspondence, correspond
from backend.head_model.registration.landmarks import carry_landmarks
from backend.head_model.registration.parts import CAVITIES, HIDDEN, Parts, parts_of
from backend.head_model.registration.quality import measure
from backend.head_model.registration.types import OpenFaceMesh, Progress, RegistrationReport, SourceHead
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

BACKGROUND_WEIGHT = 0.005
"""λ of seeds/000 D.3 off the face and ears."""

_PART_REGIONS = ("skin", "mouth_bag", "eye_sockets", "teeth", "tongue", "lashes", "left_eyeball", "right_eyeball")


def register_head(
    source: SourceHead,
    face_mesh: OpenFaceMesh,
    *,
    on_progress: Progress | None = None,
    match: Correspondence | None = None,
) -> tuple[HeadModel, RegistrationReport]:
    """A head in the canonical atlas, with regions, landmarks, joints and the 52 actions, and how well that went.

    The open head's identity is fitted to the points MediaPipe sees on renders of ``source``, its surface is bent onto
    the source's, and what the source lacks is carried over. Takes 10 to 30 s, half of it for the ``match``: what
    ``correspond`` says of ``source`` and the library's open head, for who has asked already.

    Raises ``UserError`` ``head_source`` for arrays that contradict each other, ``face_not_found`` where MediaPipe sees
    no face on its renders, ``head_scale`` for a head far from human size, ``registration_poor`` where the surfaces do
    not come together, ``no_opengl`` where nothing can be drawn.
    """
    began = time.monotonic()
    report = on_progress or _silent
    fault = source_fault(source)
    if fault:
        raise UserError(
            ErrorCode.HEAD_SOURCE, f"The head {source.id} is inconsistent: {fault}.", "Check the file it is from."
        )
    open_head = load_head("open")
    parts = parts_of(source)
    if match is None:
        match = correspond(source, parts, open_head, face_mesh, lambda share, text: report(0.75 * share, text))
    report(0.75, "laying out the atlas")
    template = np.asarray(source.template, np.float64)
    atlas = canonical_atlas(template, source.triangles, match.foot, open_head, match.bent)
    carried = carry_actions(
        open_head, parts, match, lambda share: report(0.78 + 0.15 * share, "carrying the 52 actions over")
    )
    report(0.93, "placing the landmarks")
    head = _assemble(source, parts, open_head, match, atlas, carried)
    report(0.96, "measuring")
    figures = measure(source, parts, open_head, match, atlas, _lid_gap(head, parts, carried), time.monotonic() - began)
    require_usable(source.id, figures)
    head = _with_provenance(head, figures)
    report(1.0, "done")
    return head, figures


def _silent(share: float, text: str) -> None:  # noqa: ARG001 - nobody listens
    return


def _assemble(
    source: SourceHead,
    parts: Parts,
    open_head: HeadModel,
    match: Correspondence,
    atlas: Atlas,
    carried: dict[str, F64],
) -> HeadModel:
    regions = _regions(source, parts, open_head, match)
    names, actions = _actions(source, carried)
    landmarks = carry_landmarks(
        source.template.astype(np.float64), source.triangles, parts, regions["mouth"], open_head, match
    )
    regressor, weights = source.joint_regressor, source.skinning_weights
    if regressor is None:
        regressor = _f32(rig.joint_regressor(source, parts, open_head, match))
    if weights is None:
        weights = _f32(rig.skinning_weights(parts, open_head, match))
    weight = (match.carried(open_head.vertex_weight, open_head) > 0.5) & (match.weight > 0.5)
    weight &= match.foot.distance < 2 * REACH
    return HeadModel(
        id=source.id,
        template=_f32(source.template),
        shape_basis=_f32(source.shape_basis),
        expression_basis=_f32(source.expression_basis),
        expression_names=source.expression_names,
        expression_bounds=_f32(source.expression_bounds),
        triangles=source.triangles.astype(np.int32),
        uv=_f32(atlas.uv),
        uv_vertices=_f32(atlas.uv_vertices),
        uv_triangles=atlas.uv_triangles.astype(np.int32),
        joint_regressor=regressor,
        skinning_weights=weights,
        parents=source.parents.astype(np.int32),
        regions=regions,
        landmarks=landmarks | dict(source.landmarks),
        vertex_weight=np.where(weight, 1, BACKGROUND_WEIGHT).astype(np.float32),
        licence=source.licence,
        provenance=dict(source.provenance),
        action_names=names,
        action_basis=actions,
        quads=whole_in_atlas(source.quads, source.triangles.astype(np.int32), atlas.uv_triangles.astype(np.int32)),
    )


def _regions(source: SourceHead, parts: Parts, open_head: HeadModel, match: Correspondence) -> dict[str, BoolArray]:
    regions = parts.regions()
    unnamed = {name for kinds in (CAVITIES, HIDDEN) for name in kinds if not any(parts[kind].any() for kind in kinds)}
    for name, mask in open_head.regions.items():
        if name not in _PART_REGIONS or name in unnamed:
            inside = (match.carried(mask.astype(np.float64), open_head) > 0.5) & (match.weight > 0.5)
            regions[name] = np.asarray(inside & (parts["other"] if name in HIDDEN else regions["skin"]))
    # regions of its own beyond these, such as gums
    return regions | {name: mask for name, mask in source.regions.items() if name not in parts.masks}


def _actions(source: SourceHead, carried: dict[str, F64]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The 52 actions, or none if the source's expressions are those.

    The source's own where it has them, the open head's for the others.
    """
    if set(ARKIT_ACTIONS) <= set(source.expression_names):
        return (), np.zeros((0, 0, 3), np.float32)
    own = dict(zip(source.expression_names, source.expression_basis, strict=True)) | dict(source.actions)
    basis = [own.get(name, carried[name]) for name in ARKIT_ACTIONS]
    return ARKIT_ACTIONS, np.stack(basis).astype(np.float32)


def _lid_gap(head: HeadModel, parts: Parts, carried: dict[str, F64]) -> float:
    actions = dict(zip(head.action_names, head.action_basis, strict=True)) or carried
    blink: NDArray[Any] = actions["eyeBlinkLeft"] + actions["eyeBlinkRight"]
    return lid_gap_mm(head.template, head.triangles, parts, blink)


def _with_provenance(head: HeadModel, figures: RegistrationReport) -> HeadModel:
    registered = {REGISTERED: load_head("open").hash}
    return replace(head, provenance=dict(head.provenance) | registered | figures.provenance())


def _f32(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
