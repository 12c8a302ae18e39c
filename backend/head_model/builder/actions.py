"""The 52 ARKit-named facial actions as an expression basis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.builder.source import Source


def mirrored(shapes: NDArray[np.floating[Any]], mirror: NDArray[np.int64]) -> NDArray[Any]:
    """Positions or offsets (…,V,3) seen in the mirror x → −x."""
    return shapes[..., mirror, :] * np.array([-1.0, 1.0, 1.0])


def swapped_side(name: str) -> str:
    """The action of the other side: jawLeft for jawRight, and a symmetric action itself."""
    if "Left" in name:
        return name.replace("Left", "Right")
    return name.replace("Right", "Left")


def expression_basis(source: Source, scanned: Mapping[str, NDArray[np.float64]], mesh: HeadMesh) -> NDArray[np.float64]:
    """Offsets (52,V,3), metres at full strength, exactly mirror-symmetric from left to right.

    Those of scanned people (V,3) by name, and MakeHuman's where there are none. The eyeballs do not move: gaze turns
    them about their joints, so eyeLook actions keep only what the lids do.
    """
    made = dict(zip(source.action_names, source.action_shapes, strict=True))
    offsets = np.stack([scanned[name] if name in scanned else mesh.apply(made[name]) for name in source.action_names])
    offsets[:, mesh.parts["left_eyeball"] | mesh.parts["right_eyeball"]] = 0
    return symmetric(offsets, source.action_names, mesh.mirror)


def symmetric(basis: NDArray[np.float64], names: tuple[str, ...], mirror: NDArray[np.int64]) -> NDArray[np.float64]:
    """The actions (E,V,3) made exact mirror images of those of the other side."""
    rows = {name: n for n, name in enumerate(names)}
    other = [rows[swapped_side(name)] for name in names]
    return np.asarray((basis + mirrored(basis[other], mirror)) / 2)


def amplitudes(names: tuple[str, ...], basis: NDArray[np.floating[Any]]) -> dict[str, float]:
    """How far the farthest vertex goes in each action (E,V,3) at full strength, millimetres, by name."""
    farthest = 1000 * np.linalg.norm(basis, axis=-1).max(axis=-1)
    return {name: round(float(value), 1) for name, value in zip(names, farthest, strict=True)}
