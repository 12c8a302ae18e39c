"""One way from views to a fit, for jobs, evaluation and training alike."""

from backend.solving.solve import SolvedTake, solve_take

__all__ = ["SolvedTake", "solve_take"]
