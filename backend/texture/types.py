"""What texturing takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Picture = NDArray[np.uint8]

Pictures = Callable[[int, Sequence[int]], Iterator[tuple[int, Picture]]]
"""Of a view, the RGB pictures (H,W,3) at some frames of the take, ascending, with their frames; some may lack."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A person's skin as a picture on the head's atlas.

    ``picture (S,S,3)`` sRGB, row 0 the atlas's top. ``seen (S,S)`` is 1 where it comes from the footage, 0 where it was
    filled in. ``frames`` are the pictures that it was made from: (view, frame of the take).
    """

    picture: Picture
    seen: F32
    frames: tuple[tuple[int, int], ...]

    def report(self) -> dict[str, Any]:
        """What the job's report says of it, but for the times."""
        return {"side": len(self.picture), "pictures": len(self.frames)}
