"""The tables of rendered sequences by kind of motion, in the form of seeds/001 table 2."""

from __future__ import annotations

from collections.abc import Sequence

from backend.evaluation.tables import NOTHING, PEOPLE, PROTOCOLS, Record, Sheet, figure, mean
from backend.evaluation.types import MOTION_REGIONS, REGIONS

KINDS: dict[str, tuple[str, ...]] = {
    "all": ("speech", "gaze", "extreme", "turns"),
    "talking heads": ("speech",),
    "turning heads": ("turns",),
}
"""Kinds of motion, by the performances that show them."""
RIVALS = {"single": "mediapipe-mesh", "sequence": "mediapipe-mesh+gaussian"}
"""What the tables compare with: MediaPipe's mesh as it comes, and under its Gaussian where there is time."""


def motion_sheets(runs: Sequence[Record]) -> list[Sheet]:
    """A table for each kind of motion that ``runs`` have; without a mean where a kind is all there is."""
    found = {run["performance"] for run in runs}
    kinds = {kind: shown for kind, shown in KINDS.items() if found & set(shown)}
    if len(found) < 2:
        kinds.pop("all", None)
    return [_kind_sheet(kind, [r for r in runs if r["performance"] in shown]) for kind, shown in kinds.items()]


def _kind_sheet(kind: str, runs: Sequence[Record]) -> Sheet:
    fields = ("people", "protocol", "tracker")
    rows = []
    for key in dict.fromkeys(tuple(run[field] for field in fields) for run in runs):
        people, protocol, tracker = key
        mine = [run for run in runs if tuple(run[field] for field in fields) == key]
        rival = [run for run in runs if (run["people"], run["tracker"]) == (people, RIVALS[protocol])]
        rows.append((tracker, PEOPLE[people], PROTOCOLS[protocol], *_cells(mine, rival, protocol)))
    return Sheet(
        f"Rendered sequences: {kind}",
        (
            "tracker",
            "people",
            "protocol",
            *(f"CD {region}" for region in REGIONS),
            *(f"SSME {region}" for region in MOTION_REGIONS),
            "below MediaPipe",
            "stability",
            "rotation °",
            "lost",
        ),
        tuple(rows),
        "As FlowFace's table 2: CD in mm, SSME in pixels; cheeks, which have no landmarks, besides. Below MediaPipe: "
        "the face's SSME less than that of MediaPipe's mesh, for sequences under its Gaussian. Stability: 1 is best.",
    )


def _cells(mine: Sequence[Record], rival: Sequence[Record], protocol: str) -> tuple[str, ...]:
    def of(runs: Sequence[Record], field: str, region: str) -> float | None:
        return mean([(run.get(field) or {}).get(region) for run in runs])

    own, theirs = (of([r for r in runs if r["protocol"] == protocol], "ssme", "face") for runs in (mine, rival))
    below = NOTHING
    if own is not None and theirs and mine[0]["tracker"] not in RIVALS.values():
        below = f"{100 - 100 * own / theirs:.0f} %"
    return (
        *(figure(of(mine, "cd_mm", region)) for region in REGIONS),
        *(figure(of(mine, "ssme", region)) for region in MOTION_REGIONS),
        below,
        figure(mean([run.get("stability") for run in mine]), 4),
        figure(mean([run.get("rotation_error_deg") for run in mine])),
        f"{sum(run['lost'] for run in mine)} of {sum(run['frames'] for run in mine)}",
    )
