"""Personal actions: the 52 shapes as one person makes them, learned over a take."""

from backend.fitting.personal.actions import personal_corrections
from backend.fitting.personal.refit import fit_personal, wants_personal

__all__ = ["fit_personal", "personal_corrections", "wants_personal"]
