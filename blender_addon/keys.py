"""The keys of a curve as arrays: all that Blender keeps of them, so that they can be moved without a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONSTANT, LINEAR, BEZIER = 0, 1, 2
"""How a key leads to the next one, as Blender's files count it; 4 to 12 are its easing curves."""
FREE, ALIGNED = 0, 3
"""The types of handles that stay where they were put, as Blender's files count them."""


@dataclass(frozen=True, eq=False)
class Keys:
    """All numbers of n keys by Blender's names of them: ``co`` (n,2) with frame and value, ``handle_left`` (n,2), …"""

    numbers: Mapping[str, NDArray[Any]]

    @property
    def frames(self) -> NDArray[np.float64]:
        """(n,) ascending."""
        return np.asarray(self.numbers["co"][:, 0], np.float64)

    @property
    def values(self) -> NDArray[np.float64]:
        """(n,) in the frames' order."""
        return np.asarray(self.numbers["co"][:, 1], np.float64)

    @property
    def linear(self) -> bool:
        """True where straight lines lead from key to key."""
        return bool((self.numbers["interpolation"] == LINEAR).all())

    def at(self, wanted: slice | NDArray[Any]) -> Keys:
        """Some of the keys."""
        return Keys({name: values[wanted] for name, values in self.numbers.items()})


def joined(*pieces: Keys) -> Keys:
    """Keys one after another."""
    return Keys({name: np.concatenate([piece.numbers[name] for piece in pieces]) for name in pieces[0].numbers})
