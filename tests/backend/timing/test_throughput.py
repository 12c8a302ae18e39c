"""The figures of whole tracks, from runs whose answer is known."""

from __future__ import annotations

import io

from rich.console import Console

from backend.timing.throughput import summary, track_table


def run(name: str, total: float, core: float) -> dict[str, object]:
    seconds = {"decode": 1.0, "align": total / 2, "fit": total / 2, "total": total}
    return {"name": name, "frames": 100, "seconds": seconds, "core_seconds": core}


def test_ratios_are_those_within_a_round() -> None:
    rounds = ((4.0, 6.0, 5.0), (8.0, 12.0, 10.0), (4.0, 4.0, 9.0))  # the second on a machine half as fast
    runs = []
    for points, matched, core in rounds:
        runs += [run("points alone", points, 5.0), run("skin matched in time", matched, core)]
    points, matched = summary(runs)
    assert points["name"] == "points alone" and points["times_the_time"] == 1.0
    assert matched["times_the_time"] == 1.5 and matched["times_the_work"] == 1.8
    assert points["frames_per_second"] == 25.0 and points["core_ms_per_frame"] == 50.0
    where = {"cpu_count": 2, "torch_threads": 2}
    console = Console(width=140, record=True, file=io.StringIO())
    told = {"clip": "a.mp4", "machine": where, "goal_frames_per_second": 30.0, "variants": [points, matched]}
    console.print(track_table(told))
    text = console.export_text()
    assert "skin matched in time" in text and "1.80" in text and "25.0" in text
