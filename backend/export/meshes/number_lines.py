"""Numbers as lines of text, all at once: a format string takes ten times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def number_lines(word: str, rows: NDArray[np.floating[Any]], decimals: int) -> bytes:
    """A line of ``word`` and the numbers of each row (n,c), ASCII. All take as many columns, by zeros before them."""
    scaled = np.rint(rows.astype(np.float64) * 10**decimals).astype(np.int64)
    left = np.abs(scaled)
    digits = max(decimals + 1, len(str(int(left.max(initial=0)))))
    letters = np.full((*rows.shape, digits + 3), ord(" "), np.uint8)  # a space, a sign, a point
    letters[..., 1][scaled < 0] = ord("-")
    places = [place for place in range(letters.shape[2] - 1, 1, -1) if place != letters.shape[2] - 1 - decimals]
    for place in places:
        rest = left // 10
        letters[..., place] = left - 10 * rest + ord("0")
        left = rest
    letters[..., -1 - decimals] = ord(".")
    begin = np.tile(np.frombuffer(word.encode("ascii"), np.uint8), (len(rows), 1))
    end = np.full((len(rows), 1), ord("\n"), np.uint8)
    return np.concatenate([begin, letters.reshape(len(rows), rows.shape[1] * letters.shape[2]), end], axis=1).tobytes()
