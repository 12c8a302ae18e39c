"""The tables of 300-W, 300-VW and annotated marks, the papers' figures beside ours where the seeds have any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.evaluation.challenges.landmarks.point_errors import MEASURES, PointErrors, Unit
from backend.evaluation.metrics.landmarks import cumulative_curve
from backend.evaluation.tables import NOTHING, Record, Sheet, figure, mean

LIMIT = 0.08
"""Error up to which curves and failures count: 300-W's own (8 % of the outer eye corners' distance)."""
STEPS = 80
NAMES = {
    "inner": "inner 51",
    "boundary": "boundary",
    "overall": "overall 1:3",
    "all68": "68, jaw line",
    "points68": "68 points",
}
NO_FIGURES = {  # of seeds/004
    "300-W": "The paper of this protocol prints no numbers, only curves of inner and boundary errors over 1424 of the "
    "training pictures, which it does not list.",
    "300-VW": "The paper of this protocol prints no numbers, only curves of inner and boundary errors, and does not "
    "say of which videos.",
}
PAPER_MARKS = {
    "HPEN": (9.5515, 1.4978),
    "3DDFA": (16.011, 1.5938),
    "PRNet": (9.8624, 1.4981),
    "I2ZNet, not adapted": (8.5566, 1.4768),
    "I2ZNet, by landmarks": (7.5960, 1.3700),
    "I2ZNet, adapted": (7.2588, 1.1412),
}
"""seeds/003 table 1, averages over four people: reprojection error in pixels of 1920 x 1080, temporal stability."""


def point_summary(groups: Mapping[str, PointErrors], unit: Unit) -> list[dict[str, Any]]:
    """A record per group and measure: mean and median of those found (%), AUC and failures (of all) at ``LIMIT``."""
    return [
        {"set": name, "measure": measure, **_figures(errors.measures(unit)[measure])}
        for name, errors in groups.items()
        for measure in MEASURES
    ]


def _figures(errors: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    known = errors[np.isfinite(errors)]
    curve = cumulative_curve(errors, limit=LIMIT, steps=STEPS)
    return {
        "count": len(errors),
        "lost": len(errors) - len(known),
        "mean_percent": float(known.mean()) * 100 if len(known) else None,
        "median_percent": float(np.median(known)) * 100 if len(known) else None,
        "auc": curve.area_under_curve,
        "failure_rate": curve.failure_rate,
        "cumulative": {"threshold": curve.threshold, "fraction": curve.fraction},
    }


def point_sheet(challenge: str, summary: Sequence[Record], unit: Unit, what: str) -> Sheet:
    """The table of 300-W or 300-VW; ``what`` is counted ("pictures")."""
    rows = [
        (
            f"{record['set']}: {NAMES[record['measure']]}",
            str(record["count"]),
            str(record["lost"]),
            figure(record["mean_percent"]),
            figure(record["median_percent"]),
            figure(record["auc"] * 100, 1),
            figure(record["failure_rate"] * 100, 1),
        )
        for record in summary
    ]
    return Sheet(
        f"{challenge}: errors in % of the {unit} distance",
        ("set: measure", what, "lost", "mean", "median", "AUC %", "failed %"),
        tuple(rows),
        f"Inner 51: mean distance of iBUG's points without the jaw. Boundary: from the 17 annotated jaw points to the "
        f"head's outline; overall: both by 1:3. 68: the head's jaw points to the annotated jaw line, or "
        f"all point to point. Mean and median of what was found; AUC up to {LIMIT:g}; failed: beyond it or lost. "
        + NO_FIGURES[challenge],
    )


def mark_sheet(records: Sequence[Record]) -> Sheet:
    """The table of annotated takes, seeds/003's table 1 above them."""
    rows: list[tuple[str, ...]] = [
        (f"{name} (paper)", NOTHING, NOTHING, figure(pixels), NOTHING, NOTHING, NOTHING, figure(steady, 4))
        for name, (pixels, steady) in PAPER_MARKS.items()
    ]
    rows += [_take_row(record["take"], [record]) for record in records]
    if len(records) > 1:
        rows.append(_take_row("mean", records))
    return Sheet(
        "Annotated marks: reprojection and stability",
        ("take", "bound", "places", "px", "mean %", "median %", "p90 %", "stability"),
        tuple(rows),
        "Paper: Yoon et al. 2019, table 1, averages over its own four people, 5 marks in 150 frames of 1920 x 1080, "
        "which nobody else has: no comparison on the same footage. Ours: each mark bound to the head in one frame, "
        "looked for in the others; % of the distance of the outer eye corners. Stability: eq. 10, 1 is best.",
    )


def _take_row(name: str, mine: Sequence[Record]) -> tuple[str, ...]:
    fields = (("error_px", 2), ("error_percent", 2), ("median_percent", 2), ("p90_percent", 2), ("stability", 4))
    return (
        name,
        f"{_total(mine, 'bound')} of {_total(mine, 'marks')}",
        str(_total(mine, "places")),
        *(figure(mean([record.get(field) for record in mine]), digits) for field, digits in fields),
    )


def _total(mine: Sequence[Record], field: str) -> int:
    return sum(record.get(field) or 0 for record in mine)
