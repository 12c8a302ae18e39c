"""Presets of the face rigs that the add-on knows, made to the size of a character."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import files
from ..mapping import BoneLink, Mapping
from . import rig as rigs

MOST = 0.6
"""An armature is of a rig of which it has at least this share of the bones."""


def fitted(mapping: Mapping, rig: Any) -> Mapping:
    """A mapping whose bones' locations were recorded on a character of another size, for this one.

    Sizes are compared by how far the eyes are apart; where either is unknown the locations stay.
    """
    size = rigs.face_size(rig, mapping)
    if not size or not mapping.size:
        return mapping
    share = size / mapping.size
    return replace(mapping, bones=tuple(_scaled(link, share) for link in mapping.bones), size=size)


def with_lids_closed(mapping: Mapping, rig: Any) -> Mapping:
    """A mapping of Rigify's face whose blinks close this character's eyes, however wide they are at rest.

    In the preset the controls of the two lids make up what is between them at rest.
    """
    bones = list(mapping.bones)
    for side, word in (("L", "Left"), ("R", "Right")):
        lids, action = [f"lid.{part}.{side}.002" for part in "TB"], f"eyeBlink{word}"
        way = sum(float(np.linalg.norm(link.location)) for link in bones if link.action == action and link.bone in lids)
        if not way or any(lid not in rig.data.bones for lid in lids):
            continue
        upper, lower = (rigs.rest(rig, lid)[:3, 3] for lid in lids)
        share = float(np.linalg.norm(upper - lower)) / way
        bones = [_scaled(link, share) if link.action == action else link for link in bones]
    return replace(mapping, bones=tuple(bones))


def _scaled(link: BoneLink, share: float) -> BoneLink:
    x, y, z = link.location
    return replace(link, location=(x * share, y * share, z * share))


def guess(rig: Any) -> Mapping:
    """The preset of the rig that an armature is of, made to its size; an empty mapping where none knows its bones."""
    there, best, most = rig.data.bones, Mapping(), MOST
    for preset in files.presets().values():
        wanted = {link.bone for link in preset.bones}
        share = sum(bone in there for bone in wanted) / len(wanted) if wanted else 0.0
        if share >= most:
            best, most = preset, share
    return with_lids_closed(fitted(best, rig), rig)
