"""A take's neutral: the frames in which the face is at rest, and the fit whose expressions are zero there."""

from backend.fitting.neutral.refit import AtRest, may_rest, shape_at_rest

__all__ = ["AtRest", "may_rest", "shape_at_rest"]
