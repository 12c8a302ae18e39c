"""How an actor's weights move bones. Numbers only; bakes and drivers agree on it.

Changes add up: locations by components, rotations as rotation vectors, scales by what they differ from 1.
"""

from __future__ import annotations

from collections.abc import Mapping as Weights
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluate import responses
from ..mapping import NEUTRAL, BoneLink, Mapping

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoneMotion:
    """What a bone does over time, in its own axes at rest: location, rotation vector and scale, (T,3) each."""

    location: F64
    rotation: F64
    scale: F64


def links_by_bone(mapping: Mapping) -> dict[str, tuple[BoneLink, ...]]:
    """The links that are not muted by the bone that they move, in the order in which bones come first."""
    found: dict[str, list[BoneLink]] = {}
    for link in mapping.bones:
        if not link.response.mute:
            found.setdefault(link.bone, []).append(link)
    return {bone: tuple(links) for bone, links in found.items()}


def bone_motion(weights: Weights[str, F64], mapping: Mapping) -> dict[str, BoneMotion]:
    """The motion of each bone from the weights (T,) of the actor's actions.

    An action without weights counts as 0; a bone none of whose actions has weights is left out.
    """
    still = np.zeros(len(next(iter(weights.values()), ())))
    full = {**weights, NEUTRAL: np.ones(len(still))}
    out = {}
    for bone, links in links_by_bone(mapping).items():
        if not any(mapping.action_of(link) in full for link in links):
            continue
        shares = np.stack([responses(full.get(mapping.action_of(link), still), link.response) for link in links], 1)
        location, rotation, scale = (
            np.array([getattr(link, name) for link in links], np.float64) for name in ("location", "rotation", "scale")
        )
        out[bone] = BoneMotion(shares @ location, shares @ rotation, 1.0 + shares @ (scale - 1.0))
    return out
