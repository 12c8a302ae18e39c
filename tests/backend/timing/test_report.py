"""The figures of a race, from curves whose answer is known."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from backend.timing.race import PAPER, SCALED, SOLVER, Curve
from backend.timing.report import draw_race, race_record, race_table, sizes_table
from backend.timing.sizes import Size, measure_all

SECONDS = tuple(float(s) for s in range(101))
CURVES = (
    Curve(SOLVER, (0.0, 0.5, 1.0), (0.0, 1.0, 2.0), (900.0, 101.9, 100.0), True),
    Curve(PAPER, SECONDS, SECONDS, (*(900.0 - 7.9 * s for s in range(100)), 101.0), True),
    Curve(SCALED, (0.0, 40.0), (0.0, 40.0), (900.0, 150.0), False),
)


def text(table: object) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_a_race_is_judged_by_who_comes_close_to_the_best_and_when() -> None:
    record = race_record(CURVES)
    solver, paper, scaled = record["runners"]
    assert record["best_energy"] == 100.0
    assert (solver["seconds_to_2_percent"], paper["seconds_to_2_percent"]) == (0.5, 100.0)
    assert paper["times_the_solver"] == pytest.approx(200.0)
    assert paper["times_the_solvers_work"] == pytest.approx(100.0)
    assert scaled["seconds_to_2_percent"] is None
    assert scaled["times_the_solver"] == pytest.approx(80.0)  # at least: so long it ran
    json.dumps(record)
    shown = text(race_table({"clip": "a.mp4", "frames": 3, **record}))
    assert "200.0" in shown and "> 80.0" in shown and "not yet" in shown


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    draw_race(CURVES, tmp_path / "race.png", "a race")
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_size_is_measured_in_a_process_of_its_own() -> None:
    (row,) = measure_all((Size(3, 2),), "open", "cpu")
    assert row["size"] == {"frames": 3, "cameras": 2}
    assert row["peak_mb"] > row["before_mb"] > 50
    assert row["error_px"] < 3
    assert row["iterations"] >= 2
    assert json.loads(json.dumps(row))["points"] > 5000
    assert "520" in text(sizes_table([row]))
