"""The keys of a curve as arrays: all that Blender keeps of them, so that they can be moved without a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Keys:
    """All numbers of n keys by Blender's names of them: ``co`` (n,2) with frame and value, ``handle_left`` (n,2), …"""

    numbers: Mapping[str, NDArray[Any]]

    @property
    def frames(self) -> NDArray[np.float64]:
        """(n,) ascending."""
        return np.asarray(self.numbers["co"][:, 0], np.float64)

    def at(self, wanted: slice) -> Keys:
        """Some of the keys."""
        return Keys({name: values[wanted] for name, values in self.numbers.items()})


def joined(*pieces: Keys) -> Keys:
    """Keys one after another."""
    return Keys({name: np.concatenate([piece.numbers[name] for piece in pieces]) for name in pieces[0].numbers})
