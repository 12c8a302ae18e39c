"""Keeps the lids on the eye: no action lets them sink into the eyeball."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder import eyes
from backend.head_model.builder.actions import mirrored
from backend.head_model.builder.mesh import HeadMesh

F64 = NDArray[np.float64]

SKIN = 0.001
"""Metres of lid between the eyeball and the outside. What is nearer at rest, as the lid's edge is, stays as near."""
REACH = 0.006  # metres from the eyeball within which skin is a lid's
ROUNDS = 4

STATES: tuple[Mapping[str, float], ...] = (
    *(
        {name: weight}
        for name in ("eyeBlink", "eyeSquint", "eyeWide", "cheekSquint", "browDown")
        for weight in (1.0, 0.5)
    ),
    *({f"eyeLook{way}": weight} for way in ("Down", "Up", "In", "Out") for weight in (1.0, 0.5)),
    {"eyeBlink": 1.0, "eyeSquint": 1.0},
    {"eyeBlink": 1.0, "eyeSquint": 1.0, "cheekSquint": 1.0, "browDown": 1.0},
    {"eyeBlink": 0.5, "eyeLookDown": 0.5},
    {"eyeBlink": 0.3, "eyeLookDown": 1.0},
    {"eyeSquint": 1.0, "eyeLookDown": 1.0},
    {"eyeBlink": 0.5, "eyeWide": 1.0},
    {"eyeSquint": 1.0, "eyeLookOut": 1.0},
    {"eyeSquint": 1.0, "eyeLookIn": 1.0},
    {"eyeLookDown": 1.0, "eyeLookOut": 1.0},
    {"eyeLookDown": 1.0, "eyeLookIn": 1.0},
)
"""Strengths by action, of one eye: each alone, also half-way, as lids move on straight lines and eyes are round."""


def clear_eyes(basis: F64, names: tuple[str, ...], mesh: HeadMesh, template: F64) -> F64:
    """The expression basis (E,V,3) with lids pushed out along the eyeball's radius where they would sink in.

    ``template (V,3)`` has the eyes and how near the lids are at rest. A push is shared among the actions of a state.
    """
    changed = basis.copy()
    ball = mesh.parts["left_eyeball"]
    centre = eyes.centre_weights() @ template[ball]
    radius = float(np.linalg.norm(template[ball] - centre, axis=1).mean())
    rest = np.linalg.norm(template - centre, axis=1) - radius
    lids = np.flatnonzero(mesh.parts["skin"] & (rest < REACH) & (template[:, 2] > centre[2]))
    least = np.minimum(rest[lids], SKIN)
    for _ in range(ROUNDS):
        for state in STATES:
            rows = {names.index(f"{name}Left"): weight for name, weight in state.items()}
            moved = template[lids] + sum(weight * changed[row, lids] for row, weight in rows.items()) - centre
            distance = np.linalg.norm(moved, axis=1)
            push = moved / distance[:, None] * np.maximum(radius + least - distance, 0)[:, None]
            total = sum(weight**2 for weight in rows.values())
            for row, weight in rows.items():
                changed[row, lids] += push * weight / total
    for name in {name for state in STATES for name in state}:
        changed[names.index(f"{name}Right")] = mirrored(changed[names.index(f"{name}Left")], mesh.mirror)
    return changed
