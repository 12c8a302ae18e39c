"""The identity basis: a principal component analysis of adults sampled from MakeHuman's shape space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.actions import mirrored
from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.builder.rig import joint_cubes
from backend.head_model.builder.source import Source
from backend.head_model.rigid import similarity_between

SEED = 20261121
SAMPLES = 3000
COMPONENTS = 100
LOCAL_SIGMA = 0.28
"""Standard deviation of each of MakeHuman's local sliders (they run from −1 to 1)."""
OVERALL = 0.45
"""The factor on the variation of the sliders of the whole head and the neck, which shape the skull, not the face."""
SIZE_SHRINK = 0.6
"""Share (in logarithms) of a sample's deviation in overall size that is taken away.

The samples vary by about 8 % in head size, adults by about 4 %.
"""
ASYMMETRY = 0.25
"""Share of a left or right slider's deviation that the other side does not have."""


@dataclass(frozen=True, eq=False)
class IdentitySpace:
    """Mean (V,3) and components (K,V,3) of identity, metres per standard deviation.

    Each component is exactly symmetric or exactly antisymmetric in x.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    explained: NDArray[np.float64]  # (K,) share of the weighted variance


def sample_adults(source: Source, mesh: HeadMesh, count: int = SAMPLES, seed: int = SEED) -> NDArray[np.float32]:
    """Neutral heads of random adults as MakeHuman places them, metres, with their joints: (count,V+3,3).

    The last three rows are the joints root, neck and jaw.
    """
    rng = np.random.default_rng(seed)
    macro = _phenotype_weights(source, rng, count)
    local = _local_weights(source, rng, count)
    shapes = with_joints(source, mesh, source.phenotype_shapes).reshape(len(source.phenotype_shapes), -1)
    offsets = with_joints(source, mesh, source.local_shapes).reshape(2 * len(source.local_names), -1)
    heads = with_joints(source, mesh, source.vertices).reshape(1, -1) + macro @ shapes + local @ offsets
    return heads.reshape(count, -1, 3).astype(np.float32)


def mean_adult(source: Source) -> NDArray[np.float64]:
    """The base mesh (N,3) in the shape of the mean sampled adult, metres."""
    macro = _phenotype_weights(source, np.random.default_rng(SEED), SAMPLES).mean(axis=0)
    return source.vertices + np.tensordot(macro.astype(np.float32), source.phenotype_shapes, axes=1)


def with_joints(source: Source, mesh: HeadMesh, shapes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Shapes (…,N,3) of the base mesh as the head's vertices and the joints root, neck and jaw, (…,V+3,3)."""
    return np.concatenate([mesh.apply(shapes), joint_cubes(source, shapes)], axis=-2)


def _phenotype_weights(source: Source, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    import torch
    from anny.models.model_data import PHENOTYPE_LABELS
    from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

    race = rng.dirichlet((0.6, 0.6, 0.6), count)
    values = {
        "gender": rng.beta(0.6, 0.6, count),
        "age": rng.uniform(0.62, 1.0, count),
        "muscle": rng.beta(2.5, 2.5, count),
        "weight": rng.beta(2.5, 2.5, count),
        "height": rng.beta(3.0, 3.0, count),
        "proportions": rng.uniform(0.0, 1.0, count),
        "african": race[:, 0],
        "asian": race[:, 1],
        "caucasian": race[:, 2],
    }
    parameters = np.stack([values.get(label, np.full(count, 0.5)) for label in PHENOTYPE_LABELS], axis=1)
    weights = phenotype_blendshape_weights(
        torch.from_numpy(parameters),
        list(PHENOTYPE_LABELS),
        make_phenotype_anchors(torch.float64),
        torch.from_numpy(source.phenotype_mask),
        extrapolate=False,
    )
    return weights.numpy()


def _local_weights(source: Source, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    names = source.local_names
    rows = {name: n for n, name in enumerate(names)}
    shared = rng.normal(size=(count, len(names)))
    own = rng.normal(size=(count, len(names)))
    partner = np.array([rows.get("l-" + name[2:], n) if name.startswith("r-") else n for n, name in enumerate(names)])
    sided = np.array([name.startswith(("l-", "r-")) for name in names])
    both = shared[:, partner]
    value = np.where(sided, np.sqrt(1 - ASYMMETRY**2) * both + ASYMMETRY * own, both)
    # these tip the whole head or face to one side; people differ by a few degrees, not by MakeHuman's full range
    skewed = np.array(
        [name.endswith(("trans-out", "angle-out")) and not name.startswith(("l-", "r-")) for name in names]
    )
    overall = np.array([name.startswith(("head-", "neck-", "measure-neck")) for name in names])
    value = np.clip(value * LOCAL_SIGMA * np.where(skewed, ASYMMETRY, 1.0) * np.where(overall, OVERALL, 1.0), -1, 1)
    return np.stack([np.maximum(value, 0), np.maximum(-value, 0)], axis=2).reshape(count, -1)


def align(
    heads: NDArray[np.float32], reference: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Heads (n,P,3) turned and moved onto ``reference (P,3)``, with weights (P,) on the squared distances.

    Their overall sizes are drawn together by ``SIZE_SHRINK``; each head's proportions stay as they are.
    """
    share = (weight / weight.sum()).astype(np.float64)
    centre = share @ reference
    target_size = np.sqrt(share @ ((reference - centre) ** 2).sum(axis=1))
    aligned = np.empty_like(heads)
    for n, head in enumerate(heads.astype(np.float64)):
        own = head - share @ head
        size = np.sqrt(share @ (own**2).sum(axis=1))
        turn = similarity_between(own, reference, weight, scaled=False).rotation
        aligned[n] = (target_size / size) ** SIZE_SHRINK * (own @ turn.T) + centre
    return aligned


def identity_space(
    heads: NDArray[np.float32], mirror: NDArray[np.int64], weight: NDArray[np.float64], count: int = COMPONENTS
) -> IdentitySpace:
    """Weighted PCA of aligned heads (n,V,3), symmetric and antisymmetric parts apart, largest variance first.

    Every sample's mirror image counts as a sample too, which is why the two parts do not correlate.
    """
    reflected = mirrored(heads, mirror)
    symmetric = ((heads + reflected) / 2).astype(np.float64)
    mean = symmetric.mean(axis=0)
    skew = (heads - reflected) / 2
    scale = np.sqrt(weight / weight.sum())[None, :, None]
    total = float(np.sum(((symmetric - mean) * scale) ** 2) + np.sum((skew.astype(np.float64) * scale) ** 2)) / len(
        heads
    )
    found: list[tuple[float, NDArray[np.float64]]] = []
    for part in (symmetric - mean, skew.astype(np.float64)):
        found += principal(part, scale, count)
    found.sort(key=lambda item: -item[0])
    values = np.array([value for value, _ in found[:count]])
    basis = np.stack([component for _, component in found[:count]])
    return IdentitySpace(mean, basis, values / total)


def principal(
    offsets: NDArray[np.float64], scale: NDArray[np.float64], count: int
) -> list[tuple[float, NDArray[np.float64]]]:
    """The largest ``count`` variances and components (V,3) of offsets (n,V,3) from a mean of zero."""
    samples = len(offsets)
    flat = (offsets * scale).reshape(samples, -1)
    values, vectors = np.linalg.eigh(flat @ flat.T / samples)
    chosen = vectors[:, ::-1][:, :count]
    components = (chosen.T @ offsets.reshape(samples, -1)) / np.sqrt(samples)
    # a component and its opposite are equally good: the side of a fixed random direction decides
    sides = components @ np.random.default_rng(SEED).normal(size=components.shape[1])
    components = components * np.sign(sides)[:, None]
    return [(float(v), c.reshape(offsets.shape[1:])) for v, c in zip(values[::-1][:count], components, strict=True)]
