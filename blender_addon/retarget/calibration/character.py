"""A character as numbers: its face, what each of its shape keys moves, and its measures where it follows an actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import evaluate
from ..mapping import Mapping as Links
from . import compared
from . import measures as m

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Character:
    """Its face, what each of its keys moves at 1 (V,3), and the lowest and highest value of each key's slider."""

    face: m.Face
    keys: Mapping[str, F64]
    sliders: Mapping[str, tuple[float, float]]


def follow(mapping: Links, weights: Mapping[str, F64], character: Character) -> dict[str, F64]:
    """The character's measures (T,) where it follows an actor's weights (T,)."""
    return compared.measured(character.face, character.keys, held(mapping, weights, character))


def held(mapping: Links, weights: Mapping[str, F64], character: Character) -> dict[str, F64]:
    """The values (T,) that its keys then have, within their sliders as Blender holds them."""
    values = evaluate.key_values(weights, mapping)
    return {key: np.clip(value, *character.sliders[key]) for key, value in values.items() if key in character.sliders}
