"""``python -m backend.point_calibration.actions ICT [OUT.npz]``: ICT-FaceKit's scanned actions on the open head.

They are offsets of its vertices at strength 1, and how the lower jaw moves as a whole. The result is an input of the
head's builder, ``scanned_actions.npz``: run this, then ``flowface head build``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.head_model.builder.regions import adjacency
from backend.head_model.builder.scanned_actions import SCANNED_ACTIONS
from backend.head_model.converters.ict import read_ict
from backend.head_model.library import load_head
from backend.head_model.model import BoolArray, HeadModel
from backend.head_model.registration.correspondence import Correspondence, correspond
from backend.head_model.registration.nonrigid import Anchors, bend_onto, cotangent_laplacian
from backend.head_model.registration.parts import Parts, parts_of, parts_of_open_head
from backend.head_model.registration.types import SourceHead
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.rims import Numbers, match_ring, walk_rim
from backend.head_model.surface import MeshSurface
from backend.point_calibration.identities import BACKGROUND
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

MOUTH_RINGS: dict[int, Numbers] = {
    -4: (-9.5, -9.5, -9.5),
    -3: (-6.0, -6.0, -6.0),
    -2: (-3.0, -3.0, -3.0),
    -1: (1.6, 1.6, 1.6),
    0: (5.0, 5.0, 5.0),
    1: (6.7, 6.7, 6.7),
    2: (9.2, 8.0, 7.7),
    3: (10.6, 9.0, 8.4),
}
"""Which ring about ICT-FaceKit's mouth (from 0 outwards, from −1 inwards) each ring about the open head's lies on.

At the middle of the upper lip, at the corners and at the middle of the lower lip. 1 is where the lips touch; from there
outwards by the way along the skin, inwards by the gap between the lips.
"""
EYE_RINGS: dict[int, Numbers] = {0: (0.0, 0.0, 0.0), 1: (1.0, 1.0, 1.0), 2: (2.0, 2.0, 2.0)}
"""The same for the lids; 1 is the edge that touches the eye, on both."""
RIM_PULL = 200.0
"""Weight of the rims against the points that MediaPipe sees, as the skin is bent once more."""
FILL_DEPTH = 5
"""Edges from the matched rings into a cavity within which its walls move."""
STILL = 1e-3  # metres that teeth which belong to the skull do not move: rounding and the author's hand


def measure(
    ict: Annotated[Path, typer.Argument(help="ICT-FaceKit: its folder of .obj files, or the archive of it.")],
    out: Annotated[Path, typer.Argument(help="Where to write the actions (.npz).")] = SCANNED_ACTIONS,
) -> None:
    """Carry the actions over, and write them as the builder reads them."""
    head = load_head("open")
    source = read_ict(ict)
    parts = parts_of(source)
    match = correspond(source, parts, head, still_face_mesh, lambda share, text: None)  # noqa: ARG005
    names, theirs = scanned_actions(source)
    home = head.template.astype(np.float64)
    laid = lay_over(source, parts, head, match)
    move = similarity_between(laid.bent, home, np.maximum(head.vertex_weight, BACKGROUND), scaled=False)
    carried = carry_skin(theirs, head, laid) @ move.rotation.T
    jaw = jaw_motions(theirs, source, parts, move)
    scale = float(2.0 ** np.ceil(np.log2(np.abs(carried).max() / 1024)))
    np.savez_compressed(out, names=names, offsets=(carried / scale).astype(np.float16), scale=scale, jaw=jaw)
    print(f"{len(names)} actions, {out.stat().st_size / 1e6:.2f} MB")


def scanned_actions(source: SourceHead) -> tuple[tuple[str, ...], F64]:
    """The ARKit actions that a source brings, by name, and their offsets (n,V,3) of its vertices."""
    own = dict(zip(source.expression_names, source.expression_basis, strict=True)) | dict(source.actions)
    names = tuple(name for name in ARKIT_ACTIONS if name in own)
    return names, np.stack([own[name] for name in names]).astype(np.float64)


@dataclass(frozen=True, eq=False)
class LaidOver:
    """The open head ``bent (V0,3)`` onto a source, and its rows ``(V0,V)`` of the source's vertices.

    A row is zero where ``known (V0,)`` is not set: what hangs inside follows what is around it.
    """

    bent: F64
    rows: sparse.csr_matrix
    known: BoolArray


def lay_over(source: SourceHead, parts: Parts, head: HeadModel, match: Correspondence) -> LaidOver:
    """Bend the open head once more, its lids' and lips' rims held on the source's, and find where its skin lies."""
    own = parts_of_open_head(head)
    template = source.template.astype(np.float64)
    rims, rows = _rim_rows(source, parts, head, own)
    bent = match.bent.copy()
    outer = np.flatnonzero(own["outer"])
    number = np.full(len(bent), -1)
    number[outer] = np.arange(len(outer))
    held = own["outer"][rims]
    anchors = Anchors(
        sparse.csr_matrix((np.ones(held.sum()), (np.arange(held.sum()), number[rims[held]])), (held.sum(), len(outer))),
        rows[held] @ template,
        np.full(held.sum(), RIM_PULL),
    )
    inside = own.inside("outer", head.triangles)
    surface = MeshSurface(template, source.triangles, parts.inside("outer", source.triangles))
    drawn = ~np.isin(outer, rims)
    bent[outer] = bend_onto(match.bent[outer], number[head.triangles[inside]].astype(np.int32), drawn, surface, anchors)
    bent[rims] = rows @ template
    foot = surface.closest_nearby(bent[outer], vertex_normals(bent, head.triangles)[outer])
    everyone = sparse.lil_matrix((len(bent), len(template)))
    corners = source.triangles[foot.triangle]
    everyone[outer] = sparse.csr_matrix(
        (foot.barycentric.ravel(), (np.arange(len(outer)).repeat(3), corners.ravel())), (len(outer), len(template))
    )
    everyone[rims] = rows
    known = own["outer"].copy()
    known[rims] = True
    return LaidOver(bent, everyone.tocsr(), known)


def _rim_rows(
    source: SourceHead, parts: Parts, head: HeadModel, own: Parts
) -> tuple[NDArray[np.int64], sparse.csr_matrix]:
    """The open head's vertices (n,) of matched rings, and their rows (n,V) of the source's vertices."""
    home, template = head.template.astype(np.float64), source.template.astype(np.float64)
    left, its_left = home[:, 0] > 0, template[:, 0] > 0
    openings = [
        (own["mouth_bag"], parts["mouth_bag"], MOUTH_RINGS),
        (own["eye_sockets"] & left, parts["eye_sockets"] & its_left, EYE_RINGS),
        (own["eye_sockets"] & ~left, parts["eye_sockets"] & ~its_left, EYE_RINGS),
    ]
    vertices, rows = [], []
    for cavity, its_cavity, matched in openings:
        rim = walk_rim(head.triangles, own["outer"], cavity, 6)
        its_rim = walk_rim(source.triangles, parts["outer"], its_cavity, 14)
        for number, numbers in matched.items():
            vertices.append(rim.at(number))
            rows.append(match_ring(rim.at(number), home, numbers, its_rim, template))
    return np.concatenate(vertices), sparse.vstack(rows).tocsr()


def carry_skin(offsets: F64, head: HeadModel, laid: LaidOver) -> F64:
    """Offsets (n,V,3) of the source's vertices at the open head's (n,V0,3), in the source's axes.

    Of its skin only: eyeballs, teeth, tongue and lashes, which the builder hangs on the lids, stay.
    """
    own = parts_of_open_head(head)
    carried = np.stack([laid.rows @ offset for offset in offsets])
    for cavity in (own["mouth_bag"], own["eye_sockets"]):
        _fill(carried, cavity, own, head, laid)
    return carried


def jaw_motions(offsets: F64, source: SourceHead, parts: Parts, move: Similarity) -> F64:
    """What each action (n,V,3) does to the lower jaw, (n,4,3): a point x of the open head goes by [x, 1] @ motion.

    Fitted to the lower teeth, which move as one body. ``move`` takes the source to the open head.
    """
    farthest = np.linalg.norm(offsets, axis=2).max(axis=0)
    row = parts["teeth"] & (farthest > STILL)
    system = np.column_stack([move.apply(source.template[row]), np.ones(row.sum())])
    motions = np.zeros((len(offsets), 4, 3))
    for n, offset in enumerate(offsets):
        if np.linalg.norm(offset[row], axis=1).max() > STILL:
            motions[n] = np.linalg.lstsq(system, offset[row] @ move.rotation.T, rcond=None)[0]
    return motions


def _fill(carried: F64, cavity: BoolArray, own: Parts, head: HeadModel, laid: LaidOver) -> None:
    """Give a cavity's walls what its rim has, fading smoothly (harmonically) to nothing at its end."""
    around = cavity | (own["outer"] & laid.known)
    triangles = head.triangles[around[head.triangles].all(axis=1) & cavity[head.triangles].any(axis=1)]
    used = np.unique(triangles)
    number = np.full(len(cavity), -1)
    number[used] = np.arange(len(used))
    laplacian, _ = cotangent_laplacian(head.template[used].astype(np.float64), number[triangles].astype(np.int32))
    depth = _depth(triangles, laid.known, len(cavity))[used]
    fixed = laid.known[used] | (depth > FILL_DEPTH)
    free = ~fixed
    field = carried[:, used].transpose(1, 0, 2).reshape(len(used), -1)
    field[free] = spsolve(laplacian[free][:, free].tocsc(), -laplacian[free][:, fixed] @ field[fixed])
    carried[:, used] = field.reshape(len(used), len(carried), 3).transpose(1, 0, 2)


def _depth(triangles: NDArray[np.int32], start: BoolArray, count: int) -> NDArray[np.int64]:
    """Edges from the nearest vertex of ``start``, (V,); a large number where no way leads."""
    links = adjacency(triangles, count)
    depth = np.where(start, 0, count)
    reached = start.copy()
    for step in range(1, FILL_DEPTH + 1):
        following = (links @ reached.astype(float) > 0) & ~reached
        depth[following] = step
        reached |= following
    return depth


if __name__ == "__main__":
    typer.run(measure)
