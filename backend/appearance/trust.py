"""How far a driver may be trusted about a look, and how far the network's own points: one tells where the other cannot.

A linear regressor tells looks like those that it has learnt from very well and others wildly. How unlike a look is says
its leverage, what ridge regression's own variance grows by: on lp_d3's last fifth it goes with the error of the
expression that was told by a correlation of 0.96. The network's points, moved by what the take has shown to lie between
them and the person's, are never that good and never that wrong. Pure numerics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.appearance.regressor import RIDGE_CODES, Learnt

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

USUAL = 95.0
"""Percentile of the learnt looks' leverage up to which a look is an ordinary one."""
LEAST_SHARE = 0.4
"""Directions of which ridge regression would keep less than this are left out. Some 300 stay, and what lp_d3, lp_s18
and lp_d10 hold out is as strange as with the 1,000 above 0.02, within 4 %."""
LEAST_NOISE = 1.0
"""Pixels of the crop by which points and irises differ at least from where the network sees them."""


@dataclass(frozen=True, eq=False)
class Trust:
    """``directions (F,R)`` of learnt looks and of each the share (R,) that ridge keeps, ``beyond`` by which a look's
    square in no direction counts as leverage, ``usual`` leverage; pixels of the crop: ``noise (K,)`` of the points
    about the network's, and for (left, right) irises, ``iris (2,2)`` from the network's to the person's, and
    ``iris_noise (2,)``."""

    directions: F32
    shares: F32
    beyond: float
    usual: float
    noise: F64
    iris: F64
    iris_noise: F64

    def strangeness(self, x: F32) -> F64:
        """(B,) how unlike those learnt looks (B,F) are, by their whitened features: 1 of an ordinary one."""
        return np.maximum(self.leverage(x) / self.usual, 1.0)

    def leverage(self, x: F32) -> F64:
        """(B,) xᵀ(XᵀX + ridge·N)⁻¹x of whitened features (B,F), by the regressor's own eigenvectors."""
        told = np.square(x @ self.directions) @ self.shares
        return (np.einsum("bf,bf->b", x, x) - told).astype(np.float64) / self.beyond


def fit_trust(learnt: Learnt, off: F64, iris_off: F64) -> Trust:
    """From looks whose points lie ``off (N,K,2)`` and whose irises lie ``iris_off (N,2,2)`` from the network's."""
    beyond = RIDGE_CODES * len(learnt.x)
    shares = learnt.values / (learnt.values + beyond)
    kept = np.flatnonzero(shares > LEAST_SHARE)
    iris = np.median(iris_off, axis=0)
    trust = Trust(
        directions=learnt.directions(kept).astype(np.float32),
        shares=shares[kept].astype(np.float32),
        beyond=beyond,
        usual=1.0,
        noise=_noise(off - off.mean(axis=0)),
        iris=iris,
        iris_noise=_noise(iris_off - iris),
    )
    return replace(trust, usual=float(np.percentile(trust.leverage(learnt.x.astype(np.float32)), USUAL)))


def _noise(off: F64) -> F64:
    """(K,) root mean square along an axis of the picture, of (N,K,2)."""
    return np.asarray(np.maximum(np.sqrt(np.square(off).mean(axis=(0, 2))), LEAST_NOISE))
