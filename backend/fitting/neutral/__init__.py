"""A take's neutral: the frames in which the face is at rest, and the fit whose expressions are zero there."""

from backend.fitting.neutral.refit import AtRest, fit_at_rest

__all__ = ["AtRest", "fit_at_rest"]
