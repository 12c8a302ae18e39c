"""The file of a person's wrinkles."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.detail.io import load_wrinkles, save_wrinkles
from backend.detail.types import Wrinkles
from backend.errors import UserError


def wrinkles(side: int = 8) -> Wrinkles:
    generator = np.random.default_rng(1)
    return Wrinkles(*(generator.normal(0, 1e-3, (side, side)).astype(np.float32) for _ in range(4)))


def test_maps_come_back_to_the_bit(tmp_path: Path) -> None:
    kept = wrinkles()
    save_wrinkles(kept, tmp_path / "wrinkles.npz")
    back = load_wrinkles(tmp_path / "wrinkles.npz")
    assert back.side == 8
    for item in fields(Wrinkles):
        np.testing.assert_array_equal(getattr(back, item.name), getattr(kept, item.name))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"base": np.zeros((4, 4), np.float32)},
        dict.fromkeys(("base", "stretch", "compression", "seen"), np.zeros((4, 5), np.float32)),
        dict.fromkeys(("base", "stretch", "compression", "seen"), np.full((4, 4), np.nan, np.float32)),
        dict.fromkeys(("base", "stretch", "compression", "seen"), np.zeros(4, np.float32)),
    ],
)
def test_anything_else_is_a_sentence_that_names_the_file(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "wrinkles.npz", **arrays)
    with pytest.raises(UserError, match=r"wrinkles\.npz"):
        load_wrinkles(tmp_path / "wrinkles.npz")
