"""Links to bones of one side as those of the other side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...vendor import face_actions
from ..mapping import BoneLink
from . import rig as rigs


def mirrored(rig: Any, link: BoneLink) -> BoneLink:
    """A link as it is on the other side, action and bone: reflected in the plane between the character's sides.

    A bone of the middle, and one that has no counterpart, is moved itself.
    """
    other = rigs.flipped(link.bone)
    other = other if other in rig.data.bones else link.bone
    left = rigs.facing(rig)[:, 0]
    across = np.eye(3) - 2.0 * np.outer(left, left)
    places = rigs.location_axes(rig, other).T @ across @ rigs.location_axes(rig, link.bone)
    turned = rigs.rest(rig, other)[:3, :3].T @ across @ rigs.rest(rig, link.bone)[:3, :3]
    return replace(
        link,
        action=face_actions.mirrored(link.action),
        bone=other,
        location=_triple(places @ link.location),
        rotation=_triple(-turned @ link.rotation),
        scale=_triple((turned**2) @ link.scale),
    )


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
