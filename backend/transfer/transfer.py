"""The 52 actions of the open head on any face mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.head_model.library import load_head
from backend.head_model.model import BoolArray, HeadModel, actions_of
from backend.head_model.registration.actions import lid_gap_mm, linear_part, warped_actions
from backend.head_model.registration.parts import pieces_of
from backend.head_model.registration.types import OpenFaceMesh
from backend.head_model.rigid import nearest_rotation
from backend.progress import ShouldCancel, never
from backend.transfer.contact import SIDES, Lips, Skin, close_lids, close_lips, lids_on, lips_on
from backend.transfer.correspond import HEAD_CENTRE, HEAD_RADIUS, Overlay, overlay
from backend.transfer.deform import REACH, DeformationSystem, deformation_gradients
from backend.transfer.eyes import Eyes, find_eyes
from backend.transfer.faces import Faces
from backend.transfer.frame import FaceFrame, find_frame
from backend.transfer.loose import LoosePieces
from backend.transfer.sheet import Drawn
from backend.transfer.types import F64, TargetMesh, Transferred, Triangles, checked
from backend.transfer.weld import weld

EVENING = 2
"""Rounds in which gradients are averaged among neighbouring faces. Of ICT-FaceKit at 5,000 vertices it leaves 14 faces
of 52 actions turned over instead of 51, at the same error; ICT's own actions turn over 94."""
MORE_EVENING, MENDINGS = 4, 4
CLOSED_MM = 0.2  # of eyeball that may show between closed lids

Progress = Callable[[float, str], None]


def transfer_actions(
    mesh: TargetMesh,
    face_mesh: OpenFaceMesh,
    *,
    on_progress: Progress = lambda _share, _text: None,
    should_cancel: ShouldCancel = never,
) -> tuple[Transferred, Drawn]:
    """The actions of a mesh, and how ``sheet.transfer_sheet`` draws them.

    Raises:
        UserError: ``bad_mesh``, ``mesh_size``; ``face_not_found`` where no face is seen, with what to do about it;
            ``head_scale`` where its proportions are none of a face; ``no_opengl``.
        Cancelled: ``should_cancel`` said so.
    """

    def report(share: float, text: str) -> None:
        if should_cancel():
            raise Cancelled
        on_progress(share, text)

    given = checked(mesh)
    of_vertex = weld(given.vertices, given.triangles)
    mesh = _welded(given, of_vertex)
    open_head = load_head("open")
    report(0.0, "looking for the face")
    pieces = pieces_of(mesh.triangles, len(mesh.vertices))
    eyes = find_eyes(mesh.vertices, pieces)
    frame = find_frame(mesh, pieces, eyes, open_head, face_mesh)
    target = _Target.of(mesh, frame, eyes)
    laid = overlay(
        target.vertices,
        target.triangles,
        target.skin,
        target.eyes,
        frame.given,
        open_head,
        face_mesh,
        lambda share, text: report(0.05 + 0.6 * share, text),
    )
    moved = warped_actions(open_head, laid.match, lambda share: report(0.65 + 0.2 * share, "carrying the actions over"))
    deltas, figures, loose = _on_target(target, laid, moved, open_head, report)
    names = tuple(moved)
    colors = laid.colors(open_head)
    loose.paint(colors)
    drawn = Drawn(target.vertices, target.triangles, colors, deltas)
    own = np.zeros((len(names), len(given.vertices), 3), np.float32)
    for row, name in enumerate(names):
        all_of_it = np.zeros_like(mesh.vertices)
        all_of_it[target.index] = deltas[name] @ frame.to_head.rotation / frame.to_head.scale
        own[row] = all_of_it[of_vertex]
    report(1.0, "moving what is loose")
    return Transferred(names, own, frame.to_head, figures), drawn


def _welded(mesh: TargetMesh, of_vertex: NDArray[np.int32]) -> TargetMesh:
    """The mesh with its seams closed; ``of_vertex (V,)`` numbers what its vertices become."""
    vertices = np.zeros((int(of_vertex.max()) + 1, 3))
    vertices[of_vertex] = mesh.vertices
    return replace(mesh, vertices=vertices, triangles=of_vertex[mesh.triangles])


@dataclass(frozen=True, eq=False)
class _Target:
    """What of a mesh is near its head, in head space: ``index (n,)`` of its vertices; ``border (n,)`` is next to what
    is left out.
    """

    index: NDArray[np.intp]
    vertices: F64
    triangles: Triangles
    skin: BoolArray
    eyes: tuple[BoolArray, BoolArray] | None  # left and right
    border: BoolArray

    @classmethod
    def of(cls, mesh: TargetMesh, frame: FaceFrame, eyes: Eyes | None) -> _Target:
        vertices = frame.to_head.apply(mesh.vertices)
        near = np.linalg.norm(vertices - HEAD_CENTRE, axis=1) < HEAD_RADIUS
        whole = near[mesh.triangles].all(axis=1)
        used = np.zeros(len(vertices), bool)
        used[mesh.triangles[whole]] = True
        cut = np.zeros(len(vertices), bool)
        cut[mesh.triangles[~whole]] = True
        number = np.cumsum(used) - 1
        both = None
        if eyes is not None and used[eyes.masks[0]].any() and used[eyes.masks[1]].any():
            x = frame.to_head.apply(eyes.centres)[:, 0]
            left, right = (eyes.masks[k][used] for k in np.argsort(-x))
            both = left, right
        triangles = number[mesh.triangles[whole]].astype(np.int32)
        return cls(np.flatnonzero(used), vertices[used], triangles, frame.skin[used], both, cut[used])


def _on_target(
    target: _Target, laid: Overlay, moved: Mapping[str, F64], open_head: HeadModel, report: Progress
) -> tuple[dict[str, F64], dict[str, float], LoosePieces]:
    """Deltas (n,3) of the target's vertices in head space by action, figures of how well that went, what is loose."""
    skin_faces = target.skin[target.triangles].all(axis=1)
    number = np.cumsum(target.skin) - 1
    triangles = number[target.triangles[skin_faces]].astype(np.int32)
    skin = Skin(target.vertices[target.skin], triangles, laid.match.bent, open_head)
    faces = Faces.of(skin.vertices, triangles)
    holds = REACH / np.maximum(laid.match.weight[target.skin], 0.5)
    holds[target.border[target.skin]] = 1e-3 * REACH
    system = DeformationSystem(skin.vertices, triangles, holds)
    on_skin: dict[str, F64] = {}
    for name, gradients, places in _wanted(target, laid, moved, open_head, skin_faces):
        report(0.85 + 0.09 * len(on_skin) / len(moved), "transferring the deformation")
        pose = on_skin["jawOpen"] if name == "mouthClose" else np.zeros_like(skin.vertices)
        on_skin[name] = _even_solution(system, faces, gradients, places, pose)
    report(0.94, "closing lids and lips")
    lips = lips_on(skin)
    if lips is not None:
        close_lips(system, lips, on_skin)
    deltas = _with_lids(target, skin, on_skin, laid)
    report(0.97, "moving what is loose")
    for name, offsets in deltas.items():
        pose = deltas["jawOpen"] if name == "mouthClose" else np.zeros_like(offsets)
        offsets[target.skin] = faces.mended(offsets[target.skin], pose[target.skin])
    left_over = ~target.skin
    for mask in target.eyes or ():
        left_over &= ~mask
    loose = LoosePieces(target.vertices, target.triangles, target.skin, left_over, laid.match.bent, open_head)
    for name, offsets in deltas.items():
        loose.follow(offsets, moved[name])
    return deltas, _figures(target, deltas, faces, lips, laid), loose


def _wanted(
    target: _Target, laid: Overlay, moved: Mapping[str, F64], open_head: HeadModel, skin_faces: BoolArray
) -> list[tuple[str, F64, F64]]:
    """By action the gradients (F,3,3) of the skin's faces, and the places (V,3) of its vertices."""
    home = open_head.template.astype(np.float64)
    face = open_head.regions["face"]
    turn = nearest_rotation(linear_part(home[face], laid.match.bent[face]))
    share = laid.share[skin_faces][:, None, None]
    wanted = []
    names, basis = actions_of(open_head)
    for name in sorted(names, key=lambda name: name == "mouthClose"):  # after jawOpen, which it goes with
        offsets = basis[names.index(name)].astype(np.float64)
        gradients = turn @ deformation_gradients(home, open_head.triangles, offsets) @ turn.T
        places = laid.match.carried(moved[name], open_head) * laid.match.weight[:, None]
        wanted.append((name, gradients[laid.triangle[skin_faces]] * share, places[target.skin]))
    return wanted


def _even_solution(system: DeformationSystem, faces: Faces, gradients: F64, places: F64, pose: F64) -> F64:
    """Offsets (V,3) of an action whose gradients are evened out as far as faces would turn over otherwise."""
    gradients = faces.averaged(gradients, EVENING)
    offsets = system.offsets(gradients, places)
    for _ in range(MENDINGS):
        bad = faces.turned_over(offsets + pose) | faces.folded(offsets + pose)
        if not bad.any():
            break
        near = faces.around(bad, 2)
        gradients[near] = faces.averaged(gradients, MORE_EVENING)[near]
        offsets = system.offsets(gradients, places)
    return offsets


def _with_lids(target: _Target, skin: Skin, on_skin: Mapping[str, F64], laid: Overlay) -> dict[str, F64]:
    """Deltas (n,3) of all vertices by action, with lids that close no farther than they need to."""
    closed = dict(on_skin)
    for which, (side, part) in enumerate(SIDES):
        ball = target.vertices[target.eyes[which]] if target.eyes is not None else None
        lids = lids_on(skin, part, ball)
        if lids is not None:
            close_lids(skin, lids, side, closed)
    deltas = {}
    for name in on_skin:
        deltas[name] = np.zeros_like(target.vertices)
        deltas[name][target.skin] = closed[name]
    blinks = ("eyeBlinkLeft", "eyeBlinkRight")
    if target.eyes is None:
        return deltas
    full = {name: deltas[name].copy() for name in blinks}
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        for name in blinks:
            full[name][target.skin] = on_skin[name] + share * (closed[name] - on_skin[name])
        if lid_gap_mm(target.vertices, target.triangles, laid.parts, full[blinks[0]] + full[blinks[1]]) <= CLOSED_MM:
            break
    return deltas | full


def _figures(
    target: _Target, deltas: Mapping[str, F64], faces: Faces, lips: Lips | None, laid: Overlay
) -> dict[str, float]:
    """Faces turned over in all actions, and what stays open of lids and lips, mm; NaN where there are none."""
    over = 0
    for name, offsets in deltas.items():
        pose = deltas["jawOpen"] if name == "mouthClose" else 0.0
        over += int(faces.turned_over((offsets + pose)[target.skin]).sum())
    lid, lip = float("nan"), float("nan")
    if target.eyes is not None:
        blink = deltas["eyeBlinkLeft"] + deltas["eyeBlinkRight"]
        lid = lid_gap_mm(target.vertices, target.triangles, laid.parts, blink)
    if lips is not None:
        shut = (deltas["jawOpen"] + deltas["mouthClose"])[target.skin]
        lip = float(np.max(lips.gaps(faces.vertices + shut) - lips.gaps(faces.vertices))) * 1e3
    return {
        "faces": float(len(faces.triangles)),
        "turned_over": float(over),
        "lid_gap_mm": lid,
        "lip_gap_mm": lip,
        "surface_mean_mm": float(laid.match.foot.distance[target.skin & (laid.match.weight > 0.5)].mean() * 1e3),
    }
