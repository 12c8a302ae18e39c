"""Presets of the face rigs that the add-on knows, made to the size of a character."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import files
from . import rig as rigs
from .mapping import Mapping

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
    bones = (
        replace(link, location=(link.location[0] * share, link.location[1] * share, link.location[2] * share))
        for link in mapping.bones
    )
    return replace(mapping, bones=tuple(bones), size=size)


def guess(rig: Any) -> Mapping:
    """The preset of the rig that an armature is of, made to its size; an empty mapping where none knows its bones."""
    there, best, most = rig.data.bones, Mapping(), MOST
    for preset in files.presets().values():
        wanted = {link.bone for link in preset.bones}
        share = sum(bone in there for bone in wanted) / len(wanted) if wanted else 0.0
        if share >= most:
            best, most = preset, share
    return fitted(best, rig)
