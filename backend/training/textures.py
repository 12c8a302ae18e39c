"""A person's skin as a picture of the canonical atlas: what photographs lend to rendered heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FaceTexture:
    """The part of a face that one photograph shows, laid out in the canonical atlas.

    ``color (S,S,3)`` uint8 sRGB; row 0 is the atlas's top (v = 1), as ``HeadRenderer.render`` takes a ``texture``.
    ``coverage (S,S)`` float32: 1 where ``color`` is this person's, 0 where nothing was seen, in between to blend.
    ``skin_tone (3,)`` float32 sRGB in 0…1: the typical colour of the covered skin, for what shows where coverage ends.
    ``color`` is near the skin tone where coverage is 0, so that filtering across a border brings in nothing foreign.
    """

    color: NDArray[np.uint8]
    coverage: NDArray[np.float32]
    name: str
    skin_tone: NDArray[np.float32]

    def over(self, below: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """This texture blended over another atlas picture (S,S,3) of the same size by its coverage."""
        if below.shape != self.color.shape:
            raise ValueError(f"the picture below has shape {below.shape}, expected {self.color.shape}")
        share = self.coverage[..., None]
        return np.asarray(share * self.color + (1 - share) * below + 0.5).astype(np.uint8)
