"""Model fitting (seeds/001 §3.2): one optimisation over a whole take, by a structured Levenberg–Marquardt solver."""

from backend.fitting.fit import fit_take
from backend.fitting.types import EnergyWeights, FitOptions, FitResult, FittedCamera, Fixed, KnownCamera, Solution, View

__all__ = [
    "EnergyWeights",
    "FitOptions",
    "FitResult",
    "FittedCamera",
    "Fixed",
    "KnownCamera",
    "Solution",
    "View",
    "fit_take",
]
