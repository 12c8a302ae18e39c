"""The tables of marks of real skin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.evaluation.marks.area import MARK_REGIONS
from backend.evaluation.marks.follow import HORIZONS
from backend.evaluation.tables import NOTHING, Record, Sheet, figure, mean

EVERY = "mean"


def marks_sheets(records: Sequence[Record]) -> list[Sheet]:
    """Every table of ``backend.evaluation.marks.record``'s records."""
    return [_clip_sheet(records), _split_sheet(records, "regions"), _split_sheet(records, "horizons")]


def _clip_sheet(records: Sequence[Record]) -> Sheet:
    rows = [_clip_row(record["clip"], [record]) for record in records]
    rows += [_clip_row(EVERY, mine) for mine in _by_tracker(records)]
    return Sheet(
        "Marks of real skin: reprojection through the tracked head",
        (
            "clip",
            "tracker",
            "marks",
            "bound",
            "median %",
            "mean %",
            "p90 %",
            "own %",
            "jitter %",
            "beyond",
            "of marks",
            "still",
        ),
        tuple(rows),
        "Moles and corners of texture away from landmarks, followed on the footage by OpenCV's Lucas-Kanade tracker, "
        "forth and back, bound to the head's surface where each begins. In % of the inter-ocular distance over all "
        "later frames. Own: by how much the marks miss their beginnings coming back, median. Jitter: of the head's "
        "surface, that beyond the median mark's, and the marks', in stretches in which the marks hardly move (second "
        "differences over √6, RMS); still: the frames of these.",
    )


def _clip_row(name: str, mine: Sequence[Record]) -> tuple[str, ...]:
    return (
        name,
        mine[0]["tracker"],
        str(sum(r["marks"] for r in mine)),
        str(sum(r["bound"] for r in mine)),
        *(figure(mean([(r.get("error") or {}).get(of) for r in mine])) for of in ("median", "mean", "p90")),
        figure(mean([r["returned_percent"]["median"] for r in mine])),
        *(figure(mean([r.get(of) for r in mine]), 3) for of in ("jitter", "jitter_beyond", "jitter_of_marks")),
        str(sum(r.get("still_frames", 0) for r in mine)),
    )


_NAMES = {
    "regions": dict(zip(MARK_REGIONS, MARK_REGIONS, strict=True)),
    "horizons": {str(h): f"{h} frames" for h in HORIZONS},
}


def _split_sheet(records: Sequence[Record], by: str) -> Sheet:
    names = _NAMES[by]
    rows = []
    for mine in _by_tracker(records):
        cells = (_cell([(r.get(by) or {}).get(name) or {} for r in mine]) for name in names)
        rows.append((mine[0]["tracker"], *cells))
    return Sheet(
        f"Marks of real skin by {by.removesuffix('s')}: median / mean / p90, %",
        ("tracker", *names.values()),
        tuple(rows),
        "Means over the clips.",
    )


def _cell(spreads: Sequence[dict[str, Any]]) -> str:
    if not any(spread.get("count") for spread in spreads):
        return NOTHING
    return " / ".join(figure(mean([spread.get(of) for spread in spreads])) for of in ("median", "mean", "p90"))


def _by_tracker(records: Sequence[Record]) -> list[list[Record]]:
    trackers = dict.fromkeys(record["tracker"] for record in records)
    return [[record for record in records if record["tracker"] == tracker] for tracker in trackers]
