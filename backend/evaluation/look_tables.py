"""The tables of what was looked at as an animator looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.evaluation.meaning.record import NETWORK
from backend.evaluation.metrics.curves import NOT_GAZE
from backend.evaluation.seen.measures import GROUPS, MEASURES
from backend.evaluation.tables import NOTHING, Record, Sheet, figure, mean
from protocol.face_actions import ARKIT_ACTIONS

MEAN = "mean"
_CURVES = {"contradictions": 3, "rest": 2, "asymmetry": 3, "jitter": 4}


def look_sheets(looks: Mapping[str, Sequence[Record]]) -> list[Sheet]:
    """Every table of ``backend.evaluation.look.look``'s records."""
    seen = [record for record in (*looks["clips"], *looks["photographs"]) if not record["lost"]]
    damping = {record["of"]: record["slope"] for record in looks["damping"]}
    sheets = []
    if seen:
        sheets += [_curve_sheet(seen), _motion_sheet(seen, damping), _constant_sheet(seen), _score_sheet(seen)]
    if looks["damping"]:
        sheets.append(_damping_sheet(looks["damping"]))
    if looks["meaning"]:
        sheets += [_meaning_sheet(looks["meaning"]), _action_sheet(looks["meaning"])]
    return sheets


def _curve_sheet(seen: Sequence[Record]) -> Sheet:
    rows = []
    for record in seen:
        cells = (
            f"{figure(record['curves'][name], digits)} / {figure(record['network_curves'][name], digits)}"
            for name, digits in _CURVES.items()
        )
        rows.append((record["clip"], record["tracker"], str(record["frames"]), *cells))
    for tracker in dict.fromkeys(record["tracker"] for record in seen):
        mine = [record for record in seen if record["tracker"] == tracker]
        cells = (
            " / ".join(figure(mean([r[whose][name] for r in mine]), digits) for whose in ("curves", "network_curves"))
            for name, digits in _CURVES.items()
        )
        rows.append((MEAN, tracker, str(sum(record["frames"] for record in mine)), *cells))
    return Sheet(
        "Curves: ours / the blendshape network's",
        ("clip", "tracker", "frames", *_CURVES),
        tuple(rows),
        "Contradictions: share of frames with both of two opposites above 0.1, mean of 14 pairs; rest: the sum of the "
        "weights without gaze that the calmest 5 % of the frames stay below; asymmetry: mean difference of left and "
        "right; jitter: mean second difference. The network: on MediaPipe's own mesh in tracking mode.",
    )


def _motion_sheet(seen: Sequence[Record], damping: Mapping[str, Sequence[Any]]) -> Sheet:
    rows, summary = [], []
    for tracker in dict.fromkeys(record["tracker"] for record in seen):
        mine = [record for record in seen if record["tracker"] == tracker]
        cells = [[_moving(record, names, damping) for names in GROUPS.values()] for record in mine]
        rows += [(r["clip"], tracker, *map(_slope, row)) for r, row in zip(mine, cells, strict=True)]
        columns = zip(*cells, strict=True)
        summary.append(
            (MEAN, tracker, *(_slope((mean([c[0] for c in col]), mean([c[1] for c in col]))) for col in columns))
        )
    return Sheet(
        "Motion as a second detector sees it: slope (correlation) of the head's on the footage's",
        ("clip", "tracker", *GROUPS),
        (*rows, *summary),
        "MediaPipe's 192² network, which the tracker does not use, sees the footage and the drawn head in the same "
        "crops; slopes are divided by what it sees of our head's true motion over what it sees of a rendered person's "
        "in the same poses. A dash: it does not move there.",
    )


Moving = tuple[float | None, float | None]


def _moving(record: Record, names: Sequence[str], damping: Mapping[str, Sequence[Any]]) -> Moving:
    """Slope, with the detector's damping divided out, and correlation of a group of measures, None where none moves."""
    slopes = []
    for name in names:
        slope = record["measures"][name]["slope"]
        slopes.append(None if slope is None else slope / _ratio(damping, record["tracker"], name))
    return mean(slopes), mean([record["measures"][name]["correlation"] for name in names])


def _slope(moving: Moving) -> str:
    return NOTHING if moving[0] is None else f"{figure(moving[0])} ({figure(moving[1])})"


def _ratio(damping: Mapping[str, Sequence[Any]], tracker: str, name: str) -> float:
    """Of the detector's damping on our head to that on people, both in the same poses; 1 where it was not measured."""
    of = next((of for of in damping if of != "people" and tracker.endswith(f"-{of}")), "open")
    if of not in damping or "people" not in damping:
        return 1.0
    head, people = (damping[whose][MEASURES.index(name)] for whose in (of, "people"))
    return float(head) / float(people) if head and people else 1.0


def _constant_sheet(seen: Sequence[Record]) -> Sheet:
    def cell(record: Record, names: Sequence[str]) -> str:
        values = [record["measures"][name] for name in names]
        words = (mean([value[of] for value in values]) for of in ("constant", "error", "error_moving"))
        return " / ".join(figure(word, 1) for word in words)

    rows = [(r["clip"], r["tracker"], *(cell(r, names) for names in GROUPS.values())) for r in seen]
    return Sheet(
        "Place as a second detector sees it: constant / mean error / mean error without the constant, %",
        ("clip", "tracker", *GROUPS),
        tuple(rows),
        "Head less footage, in % of the inter-ocular distance; positive stands higher, wider or more to the left.",
    )


def _score_sheet(seen: Sequence[Record]) -> Sheet:
    fields = {"correlation": 2, "slope": 2, "error": 3, "error_moving": 3}
    rows = [
        (r["clip"], r["tracker"], *(figure(r["scores"][name], digits) for name, digits in fields.items())) for r in seen
    ]
    return Sheet(
        "Expression as the blendshape network sees it: its scores of the head on its scores of the footage",
        ("clip", "tracker", "correlation", "slope", "mean error", "without the constant"),
        tuple(rows),
        "Means over the scores without gaze, correlation and slope over those that move.",
    )


def _damping_sheet(records: Sequence[Record]) -> Sheet:
    rows = []
    for record in records:
        slopes, correlations = (dict(zip(MEASURES, record[of], strict=True)) for of in ("slope", "correlation"))
        cells = (
            f"{figure(mean([slopes[n] for n in names]))} ({figure(mean([correlations[n] for n in names]))})"
            for names in GROUPS.values()
        )
        rows.append((record["of"], *cells))
    return Sheet(
        "The second detector on renders of known truth: slope (correlation)",
        ("rendered", *GROUPS),
        tuple(rows),
        "What it sees of what is so: on the benchmark's dev people, and on our head as it is drawn here.",
    )


def _meaning_sheet(records: Sequence[Record]) -> Sheet:
    rows = [
        (
            r["look"],
            r["tracker"],
            figure(r["mean_correlation"], 3),
            figure(r["mean_error"], 3),
            f"{100 * r['played_error']:.0f} %",
            f"{r['slopes_good']} of {r['slopes_asked']}",
            ", ".join(r["wrong"]) or "none",
        )
        for r in records
    ]
    return Sheet(
        "Apple's performance on the facecap character",
        ("look", "tracker", "correlation", "mean error", "played", "slopes 0.7–1.3", "wrong side or sign"),
        tuple(rows),
        "Weights beside Apple's over the actions that move, without gaze. Slopes: of brows, lids, jaw, smile, frown, "
        "pucker and mouthLeft/Right. Played: the character playing these weights, mean error of its skin's vertices as "
        f"a share of the performance's own motion. {NETWORK.capitalize()}: its scores on MediaPipe's own mesh.",
    )


def _action_sheet(records: Sequence[Record]) -> Sheet:
    trackers = list(dict.fromkeys(r["tracker"] for r in records))
    rows = []
    for column in NOT_GAZE:
        if not any(r["moves"][column] for r in records):
            continue
        cells = []
        for tracker in trackers:
            mine = [r for r in records if r["tracker"] == tracker]
            parts = (mean([r[of][column] for r in mine]) for of in ("correlation", "slope", "error"))
            cells.append(" / ".join(figure(part) for part in parts))
        rows.append((ARKIT_ACTIONS[column], *cells))
    return Sheet(
        "Apple's performance, action by action: correlation / slope / mean error",
        ("action", *trackers),
        tuple(rows),
        "Means over the looks.",
    )
