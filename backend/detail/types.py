"""Wrinkles as they are kept: D = base + stretch · T⁺ + compression · T⁻ (seeds/004's form: D₀ + T⁺·M⁺ + T⁻·M⁻)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Wrinkles:
    """A person's displacement along the smooth head's normals, on the head's atlas (row 0 its top), + outwards.

    ``base``, ``stretch`` and ``compression`` are (S,S) metres: what is always there, and what a tension of 1 adds where
    the skin is stretched (T⁺) and compressed (T⁻). The tension of a vertex is the mean over the mesh's edges at it (the
    edges of its quads, not the diagonals that halve them) of the edge's length over its length in the neutral, less 1;
    T⁺ = max(T, 0), T⁻ = max(−T, 0), both 0 or above. It is interpolated linearly within triangles. ``seen (S,S)`` in
    0…1 is how far the footage told; the maps are 0 where it is 0.
    """

    base: F32
    stretch: F32
    compression: F32
    seen: F32

    @property
    def side(self) -> int:
        """Texels along."""
        return len(self.base)
