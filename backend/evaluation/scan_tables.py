"""The table of how well each of the scan's views alone tells the head's rotation, profiles among them."""

from __future__ import annotations

from collections.abc import Sequence

from backend.evaluation.tables import NOTHING, Record, Sheet, figure

LOST = "lost"


def rotation_sheets(records: Sequence[Record]) -> list[Sheet]:
    """A table of ``backend.evaluation.scan.add_rotation_errors``; none without views."""
    if not records:
        return []
    views = list(dict.fromkeys(r["view"] for r in records))
    rows = []
    for tracker in dict.fromkeys(r["tracker"] for r in records):
        mine = {r["view"]: _cell(r) for r in records if r["tracker"] == tracker}
        rows.append((tracker, *(mine.get(view, NOTHING) for view in views)))
    return [
        Sheet(
            "Head scan: rotation of each view alone, °",
            ("tracker", *views),
            tuple(rows),
            "The angle by which the head is turned wrongly, without the constant part of the views within 45° of the "
            "front. MediaPipe's mesh has no neutral head by which one view alone would tell it.",
        )
    ]


def _cell(record: Record) -> str:
    return LOST if record["lost"] else figure(record.get("rotation_deg"), 1)
