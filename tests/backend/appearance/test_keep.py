"""An interrupted training goes on from its looks: they are taken once, and anew where the file is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.appearance.examples import Examples
from backend.appearance.keep import LOOKS, kept_looks
from backend.appearance.model import Observed

RNG = np.random.default_rng(8)


def _looks() -> tuple[Examples, Observed]:
    floats = {name: RNG.random((6, 3, 2)).astype(np.float32) for name in ("own", "wanted")}
    floats |= {name: RNG.random((6, 2, 2)).astype(np.float32) for name in ("own_iris", "wanted_iris")}
    number = np.arange(6)
    examples = Examples(
        frame=number, view=number * 0, features=np.eye(6, dtype=np.float32), crop=np.ones((6, 4)), **floats
    )
    return examples, Observed(number[:2], np.zeros((2, 4, 4, 3), np.float32), np.ones((2, 4, 4), np.float32))


def test_looks_are_taken_once_and_anew_where_the_file_is_damaged(tmp_path: Path) -> None:
    taken = []

    def gather() -> tuple[Examples, Observed]:
        taken.append(_looks())
        return taken[-1]

    kept_looks(tmp_path / "work", gather)
    again = kept_looks(tmp_path / "work", gather)
    assert len(taken) == 1
    for name, array in taken[0][0].arrays().items():
        assert np.array_equal(array, getattr(again[0], name)), name
    assert np.array_equal(taken[0][1].weight, again[1].weight)
    (tmp_path / "work" / LOOKS).write_bytes(b"half a file")
    kept_looks(tmp_path / "work", gather)
    assert len(taken) == 2
