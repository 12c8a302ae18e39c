"""Wrinkles as they travel, and back: half floats, which tell a millimetre of depth to 0.5 µm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.types import Wrinkles
from protocol.wrinkles import BASE, COMPRESSION, SEEN, STRETCH, check_wrinkles


def to_wire(wrinkles: Wrinkles) -> NDArray[np.float16]:
    """The maps (4,S,S) of ``protocol.wrinkles``.

    Raises:
        ProtocolError: ``bad_take`` where they are deeper or larger than may travel.
    """
    maps = np.stack([wrinkles.base, wrinkles.stretch, wrinkles.compression, wrinkles.seen])
    halves = np.clip(maps, -1, 1).astype(np.float16)  # beyond lies nothing that may travel, nor a half float
    check_wrinkles(halves)
    return halves


def from_wire(maps: NDArray[Any]) -> Wrinkles:
    """Wrinkles of what came."""
    whole = np.asarray(maps, np.float32)
    return Wrinkles(whole[BASE], whole[STRETCH], whole[COMPRESSION], whole[SEEN])
