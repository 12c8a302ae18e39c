"""The inside of the mouth, and lips that meet: what neither MakeHuman's mesh nor scanned skin brings along."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.rims import Rim, places, walk_rim

F64 = NDArray[np.float64]

TONGUE_REST = (0.0, -0.0075, -0.002)
"""Metres from where MakeHuman's tongue lies, against the palate, to where it lies behind and below the lower teeth: its
back comes to lie 2 to 3 mm below their edge along the whole row."""

LIP_RINGS = (0, 1, 2, 3)
"""Rings about the mouth on which lips can touch, from the cavity's border outwards."""
LIP_FADE = 0.010  # metres from the lower lip's rim within which a correction of it fades
CORNER = 0.06  # share of the way between the corners of the mouth within which it fades too
_COLUMNS = 41


def rest_tongue(template: F64, mesh: HeadMesh) -> F64:
    """A head (V,3) with its tongue at rest."""
    changed = template.copy()
    changed[mesh.parts["tongue"]] += TONGUE_REST
    return changed


def from_rest(basis: F64, names: tuple[str, ...], mesh: HeadMesh) -> F64:
    """An expression basis (E,V,3) whose tongueOut puts the tongue where it went from MakeHuman's place."""
    changed = basis.copy()
    changed[names.index("tongueOut"), mesh.parts["tongue"]] -= TONGUE_REST
    return changed


def meet_lips(
    basis: F64, names: tuple[str, ...], mesh: HeadMesh, template: F64, regions: Mapping[str, NDArray[np.bool_]]
) -> F64:
    """The expression basis (E,V,3) with a mouthClose that brings the lips of a full jawOpen just together.

    Scanned lips press into each other there; the lower one is moved until its height against the upper one is that of
    the neutral ``template (V,3)``, column by column between the corners.
    """
    outer = mesh.parts["skin"] & ~regions["mouth_bag"] & ~regions["eye_sockets"]
    rim = walk_rim(mesh.triangles, outer, regions["mouth_bag"], len(LIP_RINGS))
    jaw, close = names.index("jawOpen"), names.index("mouthClose")
    excess = lip_gaps(rim, template, template + basis[jaw] + basis[close]) - lip_gaps(rim, template, template)
    columns = np.linspace(0, 1, _COLUMNS)
    excess *= np.clip(np.minimum(columns, 1 - columns) / CORNER, 0, 1)
    contact = rim.at(1)
    lower = contact[places(template[contact]) > 1]
    across = np.interp(template[:, 0], *_sorted(template[lower, 0], 2 - places(template[contact])[places(template[contact]) > 1]))
    drop = -basis[jaw, :, 1]
    side = np.clip(drop / np.median(drop[lower]), 0, 1)
    distance, _ = cKDTree(template[lower]).query(template)
    weight = np.where(mesh.parts["skin"], side * np.exp(-((distance / LIP_FADE) ** 2)), 0)
    changed = basis.copy()
    changed[close, :, 1] += weight * np.interp(across, columns, excess)
    return changed


def lip_gaps(rim: Rim, template: F64, vertices: F64) -> F64:
    """How far the upper lip is above the lower one, metres, in columns from the right corner to the left one, (n,)."""
    columns = np.linspace(0, 1, _COLUMNS)
    gaps = np.full(_COLUMNS, np.inf)
    for number in LIP_RINGS:
        ring = rim.at(number)
        along, height = _sorted(places(template[ring]), vertices[ring, 1])
        along, height = np.append(along, 2.0), np.append(height, height[0])
        gaps = np.minimum(gaps, np.interp(columns, along, height) - np.interp(2 - columns, along, height))
    return gaps


def _sorted(keys: F64, values: F64) -> tuple[F64, F64]:
    order = np.argsort(keys)
    return keys[order], values[order]
