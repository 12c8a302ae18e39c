"""Names the parts of the head: from mesh groups, from what MakeHuman's own sliders move, and from position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.appearance import lip_depth
from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.builder.source import Source

BACKGROUND_WEIGHT = 0.005
"""λ of seeds/000 D.3 off the face and ears."""


EAR_SLIDERS = tuple(f"{side}-ear-{what}" for side in "lr" for what in ("shape-round", "wing-incr", "lobe-incr"))


def name_regions(source: Source, mesh: HeadMesh, head: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Masks (V,) by name, for the mean head (V,3) in head space (the origin midway between the eyes)."""
    parts = dict(mesh.parts)
    skin = parts["skin"]
    cavity = {name: skin & _from_base(mesh, vertices) for name, vertices in source.cavities.items()}
    outside = skin & ~cavity["mouth_bag"] & ~cavity["eye_sockets"]
    ears = outside & _moved(source, mesh, EAR_SLIDERS, 0.0012)
    nose = outside & _moved(
        source, mesh, ("nose-scale-horiz-incr", "nose-scale-vert-incr", "nose-point-width-incr"), 0.0008
    )
    lips = outside & (lip_depth(head * 1000) > -0.3)
    x, y, z = head.T
    mouth = outside & _near(head, lips, 0.010) & ~nose
    lids = outside & _moved(source, mesh, ("l-eye-height2-incr", "r-eye-height2-incr"), 0.0003)
    eyes = outside & (np.abs(np.abs(x) - 0.031) < 0.028) & (np.abs(y) < 0.020) & (z > -0.012) & ~nose
    chin = float(head[lips][:, 1].min()) - 0.045
    face = outside & ~ears & (z > -0.055) & (y > chin) & (y < 0.065) & (np.abs(x) < 0.068)
    return {
        **parts,
        **cavity,
        "face": face | nose | lips | lids,
        "mouth": mouth | lips,
        "lips": lips,
        "nose": nose,
        "eyes": eyes | lids,
        "lids": lids,
        "ears": ears,
    }


def vertex_weight(
    mesh: HeadMesh, regions: dict[str, NDArray[np.bool_]], head: NDArray[np.float64]
) -> NDArray[np.float64]:
    """λ (V,): 1 on the face, the ears and the front of the eyeballs, 0.005 elsewhere."""
    weight = np.full(len(head), BACKGROUND_WEIGHT)
    weight[regions["face"] | regions["ears"]] = 1
    for part in ("left_eyeball", "right_eyeball"):
        ball = np.flatnonzero(mesh.parts[part])
        front = head[ball][:, 2] - head[ball][:, 2].mean()
        weight[ball[front > 0.5 * front.max()]] = 1
    return weight


def _moved(source: Source, mesh: HeadMesh, sliders: Sequence[str], metres: float) -> NDArray[np.bool_]:
    rows = [source.local_names.index(name) for name in sliders]
    offsets = mesh.apply(source.local_shapes[rows].reshape(-1, *source.vertices.shape))
    return np.linalg.norm(offsets, axis=-1).max(axis=0) > metres


def _from_base(mesh: HeadMesh, vertices: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(len(mesh.mirror), bool)
    mask[: len(mesh.base_vertex)] = np.isin(mesh.base_vertex, vertices)
    return mask | mask[mesh.mirror]


def _near(head: NDArray[np.float64], seeds: NDArray[np.bool_], metres: float) -> NDArray[np.bool_]:
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(head[seeds]).query(head)
    return distance < metres


def adjacency(triangles: NDArray[np.int32], count: int) -> sparse.csr_matrix:
    """The pairs of ``count`` vertices that share an edge, symmetric, ones."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    return ((links + links.T) > 0).astype(float)
