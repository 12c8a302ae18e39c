"""The Track: everything that was fitted to a take (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import left_out, shaped
from protocol.take import COEFFICIENT, F32, F64, I64, METRES, Performance
from protocol.take import CameraTrack as CameraTrack

F16 = NDArray[np.float16]


@dataclass(frozen=True, eq=False, kw_only=True)
class Track(Performance):
    """The result of a take: a performance, whose it is, and how it came about.

    The frames are the first view's. The person's neutral is the head's with ``identity``, plus ``deformation`` (δ_d,
    ``neutral_of``), and the person's expressions are the head's plus ``action_corrections`` (``person_of``).
    """

    head_id: str
    head_hash: str
    identity: Annotated[F32, shaped("K_id", largest=COEFFICIENT)]
    frames: Annotated[I64, shaped("T")]  # footage frame numbers: video 1, 2, …; image sequences as in their file names
    times: Annotated[F64, shaped("T")]  # seconds since the footage's first frame
    provenance: Mapping[str, Any] = field(default_factory=dict)  # versions, options, aligner, per-stage seconds
    deformation: Annotated[F32, shaped("V", 3, since=2, largest=METRES)] = field(
        default_factory=left_out
    )  # metres, or (0,3): none
    expression_sigma: Annotated[F32, shaped("T", "K", fill=np.nan, finite=False, since=2)] = field(
        default_factory=left_out
    )
    """One standard deviation, NaN where unknown."""
    action_corrections: Annotated[F16, shaped("K", "P", 3, since=3, largest=METRES)] = field(default_factory=left_out)
    """Metres at strength 1: this person's expressions less the head's (``person_of``). P is V, or 0: there are none."""
