"""Takes of the open head with made-up wrinkles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.take import TakeResult

from .scene.test_look import open_take


def wrinkled(name: str, maps: NDArray[Any]) -> TakeResult:
    """A take whose maps (3,S,S) are base, stretch and compression in metres; all of them were seen."""
    return replace(open_take(name), wrinkles=np.concatenate([maps, np.ones_like(maps[:1])]).astype(np.float16))
