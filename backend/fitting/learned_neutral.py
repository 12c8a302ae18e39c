"""A person's neutral face as MediaPipe's points of one view tell it to who has seen many rendered people: for E_MICA.

A fit weighs points as if each erred by itself, and people as if every identity component varied by itself. What the
points of known people look like (``backend.point_calibration.neutral_shape``, whose table ``learned_neutral.npz`` is)
says how they err and vary together: identity is a linear answer to how far each point lies from where it lies on a mean
face, the head turned to the front. It is worth its weight in a fit (``EnergyWeights.learned_neutral``), and replaces
none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.fitting.action_witness import POINTS, Seen
from backend.head_model.model import HeadModel
from backend.observations import PointSetId, ViewAlignment

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TABLE = Path(__file__).with_name("learned_neutral.npz")
LEARNT_POINTS = PointSetId(POINTS, "mediapipe")
"""Other aligners that tell the same points err in other ways."""
COMPONENTS = 60
"""Identity components that are told, as many as a fit solves for."""
TURNED = float(np.cos(np.deg2rad(40.0)))
"""A head turned from the camera by more has not been learnt from."""


@dataclass(frozen=True, eq=False)
class NeutralTable:
    """What was learnt: N = 478 points, K = ``COMPONENTS``.

    ``mean_points (N,3)`` a face from the front, for its pose; ``usual_points (2N,)`` and ``usual_identity (K,)`` the
    means of what was learnt from; ``weights (2N,K)``; ``identities`` names the identity space (``identity_space``);
    ``about`` says what was learnt from.
    """

    mean_points: F64
    usual_points: F64
    usual_identity: F64
    weights: F64
    identities: str
    about: str

    def identity(self, moved: NDArray[np.floating[Any]]) -> F64:
        """(…,K) of points (…,N,2) as ``Seen.moved`` has them."""
        flat = np.reshape(moved, (*np.shape(moved)[:-2], -1))
        return np.asarray((flat - self.usual_points) @ self.weights + self.usual_identity)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            mean_points=self.mean_points.astype(np.float32),
            usual_points=self.usual_points.astype(np.float32),
            usual_identity=self.usual_identity.astype(np.float32),
            weights=self.weights.astype(np.float16),
            identities=np.array(self.identities),
            about=np.array(self.about),
        )


@cache
def load_neutral_table(path: Path = TABLE) -> NeutralTable:
    """The committed table."""
    texts = ("identities", "about")
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name].astype(np.float64) for name in data.files if name not in texts}
        return NeutralTable(**arrays, identities=str(data["identities"]), about=str(data["about"]))


def identity_space(head: HeadModel) -> str:
    """A name for a head's first ``COMPONENTS`` identity components; heads with others have another."""
    return hashlib.sha256(np.ascontiguousarray(head.shape_basis[:COMPONENTS], np.float32).tobytes()).hexdigest()[:16]


def learned_neutral(head: HeadModel, views: Sequence[ViewAlignment]) -> F32 | None:
    """Neutral vertices (V,3), metres in head space, of the person in a take of one view: the mean over its frames.

    None where nothing can be told: for a head with other identities than those learnt, for points that another aligner
    made, of several views, whose parallax tells more, and where no frame shows all points of a face that looks towards
    the camera (``TURNED``).
    """
    table = load_neutral_table()
    if len(views) != 1 or identity_space(head) != table.identities:
        return None
    points = next((s for s in views[0].point_sets if s.id == LEARNT_POINTS), None)
    if points is None:
        return None
    mu = points.mu[points.valid.all(axis=1)]
    seen = Seen.of(np.zeros((len(mu), 0)), mu, table.mean_points)
    facing = seen.moved[seen.facing >= TURNED]
    return head.neutral(table.identity(facing).mean(axis=0)) if len(facing) else None
