"""The benchmark's figures as plain values, tables and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from backend.errors import ErrorCode, UserError
from backend.timing.race import CLOSE, SOLVER, Curve, best_energy

# seeds/000, "Run time": 520 frames with 17 cameras on a Quadro RTX 5000.
PAPER: dict[str, float] = {"frames": 520, "cameras": 17, "seconds": 21 * 60, "memory_mb": 4.5 * 1024}
CURVE_POINTS = 400  # of each runner in the JSON


def race_record(curves: Sequence[Curve]) -> dict[str, Any]:
    """The race as plain values: for each runner, its curve and what it took to come close to the best energy."""
    best = best_energy(curves)
    solver = next(c for c in curves if c.name == SOLVER)
    first = solver.reached(CLOSE * best)
    runners = []
    for curve in curves:
        close = curve.reached(CLOSE * best)
        # Who never came close took at least as long as it ran.
        index = -1 if close is None else close
        ratios = [
            None if first is None or not own[first] else theirs[index] / own[first]
            for theirs, own in ((curve.seconds, solver.seconds), (curve.core_seconds, solver.core_seconds))
        ]
        runners.append(
            {
                "name": curve.name,
                "steps": len(curve.energy) - 1,
                "seconds": curve.seconds[-1],
                "core_seconds": curve.core_seconds[-1],
                "converged": curve.finished,
                "final_energy_over_best": min(curve.energy) / best,
                "seconds_to_2_percent": None if close is None else curve.seconds[close],
                "core_seconds_to_2_percent": None if close is None else curve.core_seconds[close],
                "times_the_solver": ratios[0],
                "times_the_solvers_work": ratios[1],
                "curve": _thinned(curve),
            }
        )
    return {"best_energy": best, "close_means": CLOSE, "runners": runners}


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    step = max(1, len(curve.energy) // CURVE_POINTS)
    points = list(zip(curve.seconds, curve.energy, strict=True))
    return points[::step] if (len(points) - 1) % step == 0 else [*points[::step], points[-1]]


def race_table(race: Mapping[str, Any]) -> Table:
    """A table of who came close to the best energy, and when."""
    table = Table(
        title=f"the same energy on {race['clip']}, {race['frames']} frames", title_justify="left", box=box.SIMPLE
    )
    for name in ("optimiser", "steps", "ran", "energy", "to 2 %", "× time", "× work"):
        table.add_column(name, justify="left" if name == "optimiser" else "right", no_wrap=True)
    for runner in race["runners"]:
        close = runner["seconds_to_2_percent"]
        sign = "" if close is not None else "> "
        table.add_row(
            runner["name"],
            str(runner["steps"]),
            f"{runner['seconds']:.1f} s" + ("" if runner["converged"] else "…"),
            f"{runner['final_energy_over_best']:.4f}",
            _not_reached(runner) if close is None else f"{close:.2f} s",
            *("" if r is None else f"{sign}{r:.1f}" for r in _ratios(runner)),
        )
    table.caption = (
        "energy: the lowest reached, in units of the best; to 2 %: time until within 2 % of the best; × time, × work: "
        "of that against the solver's, work being core seconds; … was stopped before it converged"
    )
    return table


def _ratios(runner: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return runner["times_the_solver"], runner["times_the_solvers_work"]


def _not_reached(runner: Mapping[str, Any]) -> str:
    return "never" if runner["converged"] else "not yet"


def sizes_table(sizes: Sequence[Mapping[str, Any]]) -> Table:
    """Time and memory of every size, and the paper's."""
    table = Table(title="dense alignments, every camera unknown", title_justify="left", box=box.SIMPLE)
    for name in ("frames", "cameras", "points", "seconds", "core s", "steps", "peak GB", "GPU GB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sizes:
        gpu = row["cuda_peak_mb"]
        table.add_row(
            str(row["size"]["frames"]),
            str(row["size"]["cameras"]),
            str(row["points"]),
            f"{row['fit_seconds']:.1f}",
            f"{row['cpu_seconds']:.1f}",
            str(row["iterations"]),
            f"{row['peak_mb'] / 1024:.2f}",
            "" if gpu is None else f"{gpu / 1024:.2f}",
        )
    table.add_section()
    table.add_row(
        str(PAPER["frames"]),
        str(PAPER["cameras"]),
        "FLAME",
        f"{PAPER['seconds']:.1f}",
        "",
        "",
        "",
        f"{PAPER['memory_mb'] / 1024:.2f}",
        style="dim",
    )
    table.caption = "last row: the paper's own figures, on a Quadro RTX 5000"
    return table


def draw_race(curves: Sequence[Curve], path: Path, heading: str) -> None:
    """Energy over time of every runner, both axes logarithmic; raises UserError ``no_matplotlib``."""
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            ErrorCode.NO_MATPLOTLIB,
            "The benchmark's plot needs matplotlib, which is not installed.",
            "Install this project with requirements.txt or its extra “evaluate”.",
        ) from error
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    best = best_energy(curves)
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        # The first guess, at no time at all, has no place on a logarithmic axis.
        above = [max(e / best - 1, 1e-6) for e in curve.energy]
        marker = "o" if len(above) < 100 else ""
        axes.plot([max(s, 1e-2) for s in curve.seconds], above, marker=marker, markersize=3, label=curve.name)
    axes.axhline(CLOSE - 1, color="0.6", linestyle="--", linewidth=1, label="within 2 % of the best")
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="energy above the best, as a share", title=heading)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
