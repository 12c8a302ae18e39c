"""Personal actions: the 52 shapes as one person makes them, learned over a take."""

from backend.fitting.personal.refit import fit_personal, wants_personal

__all__ = ["fit_personal", "wants_personal"]
