"""Takes solved again in part, so that they hold to what a user says of them: pins, values and what is hidden."""

from backend.fitting.corrections.solve_part import Resolved, resolve
from backend.fitting.corrections.tracked import TrackedTake, tracked_take
from backend.fitting.corrections.types import Corrections, HeldValue, SurfacePin

__all__ = ["Corrections", "HeldValue", "Resolved", "SurfacePin", "TrackedTake", "resolve", "tracked_take"]
