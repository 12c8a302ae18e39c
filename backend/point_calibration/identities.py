"""``python -m backend.point_calibration.identities ICT OUT.npz``: ICT-FaceKit's training modes on the open head.

They are offsets of its vertices.

The result is an input of the head's builder, ``scanned_identities.npz``: run this, then ``flowface head build``. Only
the modes that ``splits.toml`` gives to training are read; the others make the people that trackers are tested with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.datasets.splits import identity_modes
from backend.head_model.builder.scanned import SCANNED, onto, without_rigid
from backend.head_model.converters.ict import read_ict
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.registration.correspondence import Correspondence, correspond
from backend.head_model.registration.face_points import sphere_centre
from backend.head_model.registration.parts import EYEBALLS, Parts, parts_of, parts_of_open_head
from backend.head_model.registration.rig import point_weights
from backend.head_model.registration.types import SourceHead
from backend.head_model.registration.warp import SpaceWarp
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]

KEPT = 0.998
"""Share of the modes' variance on the face that is kept; the rest would triple the file."""
BACKGROUND = 0.1  # weight off the face, as in the builder


def measure(
    ict: Annotated[Path, typer.Argument(help="ICT-FaceKit: its folder of .obj files, or the archive of it.")],
    out: Annotated[Path, typer.Argument(help="Where to write the people (.npz).")] = SCANNED,
) -> None:
    """Carry the mean and the training modes over, and write them as the builder reads them."""
    head = load_head("open")
    source = read_ict(ict)
    parts = parts_of(source)
    match = correspond(source, parts, head, still_face_mesh, lambda share, text: None)  # noqa: ARG005
    modes = source.shape_basis[identity_modes("train", len(source.shape_basis))].astype(np.float64)
    weight = np.maximum(head.vertex_weight.astype(np.float64), BACKGROUND)
    home = head.template.astype(np.float64)
    mean = onto(match.bent, home, weight)
    turn = np.linalg.lstsq(match.bent - match.bent.mean(axis=0), mean - mean.mean(axis=0), rcond=None)[0]
    carried = carry_modes(modes, source, parts, head, match) @ turn
    carried = without_rigid(carried, mean, weight)
    kept = condensed(carried, weight)
    scale = float(2.0 ** np.ceil(np.log2(np.abs(kept).max() / 1024)))
    np.savez_compressed(out, mean=mean.astype(np.float32), modes=(kept / scale).astype(np.float16), scale=scale)
    print(f"{len(modes)} modes as {len(kept)}, {out.stat().st_size / 1e6:.2f} MB")


def carry_modes(modes: F64, source: SourceHead, parts: Parts, head: HeadModel, match: Correspondence) -> F64:
    """Offsets (n,V,3) of the source's vertices at the open head's (n,V0,3), in the source's axes.

    Of the skin under them, of the eyeballs as moved and grown spheres, and elsewhere of a smooth field through those.
    """
    own = parts_of_open_head(head)
    template = source.template.astype(np.float64)
    surface = MeshSurface(template, source.triangles, parts.inside("outer", source.triangles))
    foot = surface.closest_nearby(match.bent, vertex_normals(match.bent, head.triangles))
    carried = np.stack([foot.of(mode, source.triangles) for mode in modes])
    known = own["outer"].copy()
    for name in EYEBALLS:
        theirs, ours = parts[name], own[name]
        carried[:, ours] = _sphere_offsets(modes[:, theirs], template[theirs], match.bent[ours])
        known |= ours
    rows = np.flatnonzero(known)[::3]
    field = SpaceWarp(match.bent[rows], carried[:, rows].transpose(1, 0, 2).reshape(len(rows), -1))
    inside = np.flatnonzero(~known)
    carried[:, inside] = field(match.bent[inside]).reshape(len(inside), len(modes), 3).transpose(1, 0, 2)
    return carried


def _sphere_offsets(offsets: F64, theirs: F64, ours: F64) -> F64:
    """Offsets (n,m,3) of a sphere's points (m,3) that follow another sphere's.

    They follow the centre and radius of points (k,3) with offsets (n,k,3).
    """
    centre = sphere_centre(theirs)
    moved = np.einsum("k,nkc->nc", point_weights(theirs, centre), offsets)
    outward = theirs - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    grown = np.einsum("nkc,kc->n", offsets - moved[:, None], outward) / len(theirs)
    around = ours - sphere_centre(ours)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    return np.asarray(moved[:, None] + grown[:, None, None] * around)


def condensed(modes: F64, weight: NDArray[np.float64]) -> F64:
    """Fewer modes (k,V,3) with the same covariance but for a share ``1 − KEPT`` of the weighted variance."""
    flat = (modes * np.sqrt(weight / weight.sum())[:, None]).reshape(len(modes), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    count = int(np.searchsorted(np.cumsum(values) / values.sum(), KEPT)) + 1
    return np.asarray(np.tensordot(vectors[:, :count].T, modes, axes=1))


if __name__ == "__main__":
    typer.run(measure)
