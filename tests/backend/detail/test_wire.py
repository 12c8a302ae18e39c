"""Wrinkles to half floats and back, beside a finished job's track and in a client's folder."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from backend.client.track import keep_skin
from backend.detail.io import load_wrinkles, save_wrinkles
from backend.detail.types import Wrinkles
from backend.detail.wire import from_wire, to_wire
from backend.server.result import _wrinkles
from protocol.codec import ProtocolError
from tests.protocol.takes import small_take


def made_up(side: int = 16) -> Wrinkles:
    random = np.random.default_rng(1)
    base, stretch, compression = random.normal(scale=5e-4, size=(3, side, side)).astype(np.float32)
    return Wrinkles(base, stretch, compression, random.uniform(size=(side, side)).astype(np.float32))


def test_depths_arrive_within_half_a_micrometre() -> None:
    there = made_up()
    back = from_wire(to_wire(there))
    for item in fields(Wrinkles):
        assert getattr(back, item.name).dtype == np.float32
    for name in ("base", "stretch", "compression"):
        np.testing.assert_allclose(getattr(back, name), getattr(there, name), atol=0.5e-6)
    np.testing.assert_allclose(back.seen, there.seen, atol=2.5e-4)


def test_what_is_too_deep_does_not_travel(tmp_path: Path) -> None:
    deep = replace(made_up(), stretch=np.full((16, 16), 0.06, np.float32))
    with pytest.raises(ProtocolError):
        to_wire(deep)
    save_wrinkles(deep, tmp_path / "deep.npz")
    (tmp_path / "damaged.npz").write_bytes(b"PK\3\4 no more")
    for name in ("deep.npz", "damaged.npz", "none.npz"):
        assert _wrinkles(tmp_path / name) is None, "the take comes without them"


def test_a_client_keeps_those_of_each_head(tmp_path: Path) -> None:
    maps = to_wire(made_up())
    take, half = (replace(small_take(), wrinkles=some) for some in (maps, maps * np.float16(0.5)))
    files = keep_skin(replace(take, others=(half,)), tmp_path)
    assert {path.name for path in files.values()} >= {"wrinkles.npz", "wrinkles_2.npz"}
    np.testing.assert_array_equal(load_wrinkles(tmp_path / "wrinkles.npz").base, maps[0].astype(np.float32))
    np.testing.assert_array_equal(load_wrinkles(files["wrinkles_2"]).base, half.wrinkles[0].astype(np.float32))
