"""Keeps the lids on the mean head's eyes: no action lets them sink into the eyeball."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder import eyes
from backend.head_model.builder.actions import mirrored
from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.eyeball import Eyeball
from backend.head_model.lid_clearance import STATES, lids_of, pushed_out

F64 = NDArray[np.float64]


def clear_eyes(basis: F64, names: tuple[str, ...], mesh: HeadMesh, template: F64) -> F64:
    """The expression basis (E,V,3) with lids pushed out along the eyeball's radius where they would sink in.

    ``template (V,3)`` has the eyes and how near the lids are at rest.
    """
    changed = basis.copy()
    ball = mesh.parts["left_eyeball"]
    centre = eyes.centre_weights() @ template[ball]
    eyeball = Eyeball(centre, float(np.linalg.norm(template[ball] - centre, axis=1).mean()))
    lids = lids_of(eyeball, mesh.parts["skin"], template)
    actions = sorted({name for state in STATES for name in state})
    rows = np.array([names.index(f"{name}Left") for name in actions])
    changed[rows[:, None], lids] = pushed_out(template[lids], basis[rows[:, None], lids], actions, eyeball, STATES)
    for name in actions:
        changed[names.index(f"{name}Right")] = mirrored(changed[names.index(f"{name}Left")], mesh.mirror)
    return changed
