"""One energy, one first guess, two optimisers: how energy falls over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.fitting.prepare import Take
from backend.fitting.solver.adamw_reference import minimise_adamw, plain_sizes, typical_sizes
from backend.fitting.solver.levenberg_marquardt import Stage, minimise

CLOSE = 1.02  # "there" is within 2 % of the best energy that any runner found
SOLVER, PAPER, SCALED = "solver", "AdamW, the paper's", "AdamW, scaled"

OnStep = Callable[[str, int, float, float], None]  # runner, step, energy, seconds


@dataclass(frozen=True)
class Curve:
    """A runner's energy over its own time since it left the first guess: in seconds, and in seconds of work.

    Work is summed over cores; unlike time, it does not depend on what else the machine does.
    """

    name: str
    seconds: tuple[float, ...]
    core_seconds: tuple[float, ...]
    energy: tuple[float, ...]
    finished: bool  # it converged, rather than being stopped

    def reached(self, energy: float) -> int | None:
        """The index at which the energy was first at most ``energy``; None where it never was."""
        return next((i for i, e in enumerate(self.energy) if e <= energy), None)


def best_energy(curves: Sequence[Curve]) -> float:
    """The lowest energy that any runner found."""
    return min(min(curve.energy) for curve in curves)


def race(take: Take, adamw_seconds: float, on_step: OnStep | None = None) -> tuple[Curve, ...]:
    """Run the solver to convergence, then AdamW twice, each until it converges or ``adamw_seconds`` are over.

    What they share (the first guess, the basis) is not timed; one warm-up step of each precedes the race.
    """
    problem = take.problem()
    minimise(problem, take.start, Stage(max_iterations=1))
    minimise_adamw(problem, take.start, plain_sizes(problem, take.start), max_iterations=2)
    curves = [_solver(take, on_step)]
    for name, sizes in ((PAPER, plain_sizes), (SCALED, typical_sizes)):
        began = time.perf_counter()

        def report(step: int, energy: float, name: str = name, began: float = began) -> None:
            if on_step is not None:
                on_step(name, step, energy, time.perf_counter() - began)

        run = minimise_adamw(
            problem, take.start, sizes(problem, take.start), max_seconds=adamw_seconds, on_iteration=report
        )
        curves.append(Curve(name, run.seconds, run.core_seconds, run.energy, run.converged))
    return tuple(curves)


def _solver(take: Take, on_step: OnStep | None) -> Curve:
    problem = take.problem()
    seconds: list[float] = []
    worked: list[float] = []
    energies: list[float] = []
    began, work = time.perf_counter(), time.process_time()

    def report(iteration: int, energy: float) -> None:
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
        energies.append(energy)
        if on_step is not None:
            on_step(SOLVER, iteration, energy, seconds[-1])

    # Further than any fit goes, so that the best energy is known well.
    best = minimise(problem, take.start, Stage(tolerance=1e-6, max_iterations=60), on_iteration=report)
    seconds.append(time.perf_counter() - began)
    worked.append(time.process_time() - work)
    return Curve(SOLVER, tuple(seconds), tuple(worked), (*energies, best.energy[-1]), True)
