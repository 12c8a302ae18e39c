"""The tables of an evaluation, for the terminal and as Markdown, made from what ``results.json`` holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from rich.table import Table

from backend.evaluation.types import REGIONS

Record = Mapping[str, Any]

PROTOCOLS = {"single": "single image", "sequence": "sequence"}
PEOPLE = {"ict": "ICT-FaceKit's people", "makehuman": "MakeHuman's people"}
NOTHING = "–"


@dataclass(frozen=True)
class Sheet:
    """A table of texts: ``rows`` have as many cells as ``columns``. The first column names, the others hold figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def figure(value: Any, digits: int = 2) -> str:
    """A number as text; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    return f"{value:.{digits}f}"


def mean(values: Sequence[Any]) -> float | None:
    """The mean of the numbers among ``values``; None where there is none."""
    numbers = [float(v) for v in values if v is not None and math.isfinite(v)]
    return sum(numbers) / len(numbers) if numbers else None


def summarise(runs: Sequence[Record]) -> list[dict[str, Any]]:
    """Means over the sequences, one record per people, protocol and tracker, in the order of first appearance."""
    fields = ("people", "protocol", "tracker")
    keys = list(dict.fromkeys(tuple(run[field] for field in fields) for run in runs))
    return [
        {**dict(zip(fields, key, strict=True)), **_means([r for r in runs if tuple(r[f] for f in fields) == key])}
        for key in keys
    ]


def _means(runs: Sequence[Record]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "sequences": len(runs),
        "frames": sum(run["frames"] for run in runs),
        "lost": sum(run["lost"] for run in runs),
    }
    for field in ("ssme", "cd_mm", "cd_metrical_mm"):
        told[field] = {region: mean([_of(run, field, region) for run in runs]) for region in REGIONS}
    for field in FIGURES:
        told[field] = mean([run.get(field) for run in runs])
    return told


def _of(run: Record, field: str, region: str) -> Any:
    return (run.get(field) or {}).get(region)


FIGURES: dict[str, tuple[str, int]] = {
    "normal_error_deg": ("normals °", 1),
    "landmark_nme_percent": ("NME 51 %", 2),
    "stability": ("stability", 4),
    "lip_error_mm": ("lips mm", 2),
    "rotation_error_deg": ("rotation °", 2),
    "focal_ratio_error_percent": ("focal %", 1),
}
"""Figures of one run that are plain numbers: column heading and digits."""


def build_sheets(results: Record) -> list[Sheet]:
    """Every table of an evaluation's results."""
    sheets = []
    for (people, whose), (protocol, words) in product(PEOPLE.items(), PROTOCOLS.items()):
        summary = [s for s in results["summary"] if (s["people"], s["protocol"]) == (people, protocol)]
        if summary:
            sheets += [_main_sheet(summary, f"{whose}, {words}"), _more_sheet(summary, f"{whose}, {words}")]
    if results["runs"]:
        sheets.append(_performance_sheet(results["runs"]))
    if results.get("uncertainty"):
        sheets.append(_uncertainty_sheet(results["uncertainty"]))
    if results.get("rigs"):
        sheets.append(_rig_sheet(results["rigs"]))
    return sheets + _real_sheets(results.get("real") or {})


def _main_sheet(summary: Sequence[Record], words: str) -> Sheet:
    columns = ("tracker", *(f"CD {r}" for r in REGIONS), *(f"SSME {r}" for r in REGIONS))
    rows = tuple(
        (
            s["tracker"],
            *(figure(s["cd_mm"][r]) for r in REGIONS),
            *(figure(s["ssme"][r]) for r in REGIONS),
        )
        for s in summary
    )
    frames = max(s["frames"] for s in summary)
    count = max(s["sequences"] for s in summary)
    return Sheet(
        f"Rendered sequences of {words}",
        columns,
        rows,
        f"CD in mm after rigid alignment with scale, SSME in pixels (mean over horizons); {count} sequences, "
        f"{frames} frames of 512². Lower is better.",
    )


def _more_sheet(summary: Sequence[Record], words: str) -> Sheet:
    used = [name for name in FIGURES if any(s.get(name) is not None for s in summary)]
    columns = ("tracker", "CD face, metrical", *(FIGURES[name][0] for name in used), "lost frames")
    rows = tuple(
        (
            s["tracker"],
            figure(s["cd_metrical_mm"]["face"]),
            *(figure(s[name], FIGURES[name][1]) for name in used),
            f"{s['lost']} of {s['frames']}",
        )
        for s in summary
    )
    return Sheet(
        f"Rendered sequences of {words}: the rest",
        columns,
        rows,
        "Stability: 1 is best, all others: lower is better. NME: inner 51 landmarks, % of the face's box. Rotation: "
        "without its constant part.",
    )


def _performance_sheet(runs: Sequence[Record]) -> Sheet:
    kinds = list(dict.fromkeys(run["performance"] for run in runs))
    fields = ("people", "protocol", "tracker")
    keys = list(dict.fromkeys(tuple(run[field] for field in fields) for run in runs))
    rows = []
    for people, protocol, tracker in keys:
        mine = [r for r in runs if tuple(r[field] for field in fields) == (people, protocol, tracker)]
        cells = [figure(mean([_of(r, "ssme", "face") for r in mine if r["performance"] == kind])) for kind in kinds]
        rows.append((tracker, PEOPLE[people], PROTOCOLS[protocol], *cells))
    return Sheet("SSME of the face by performance, pixels", ("tracker", "people", "protocol", *kinds), tuple(rows))


UNCERTAINTY_FIGURES: dict[str, tuple[str, int]] = {
    "error_seen": ("error seen", 2),
    "sigma_seen": ("σ seen", 2),
    "error_turned_away": ("error turned away", 2),
    "sigma_turned_away": ("σ turned away", 2),
    "error_over_sigma": ("error / σ", 2),
    "median_over_sigma": ("median / σ", 2),
    "within_1": ("within σ, %", 1),
    "within_2": ("within 2 σ, %", 1),
    "spearman": ("rank correlation", 2),
}


def _uncertainty_sheet(records: Sequence[Record]) -> Sheet:
    rows = []
    for tracker in dict.fromkeys(r["tracker"] for r in records):
        mine = [r for r in records if r["tracker"] == tracker]
        cells = []
        for field, (_, digits) in UNCERTAINTY_FIGURES.items():
            value = mean([r.get(field) for r in mine])
            cells.append(figure(value * 100 if value is not None and field.startswith("within") else value, digits))
        rows.append((tracker, mine[0]["aligner"], *cells))
    return Sheet(
        "Calibration of the aligners' σ, rendered sequences of ICT-FaceKit's people",
        ("tracker", "aligner", *(words for words, _ in UNCERTAINTY_FIGURES.values())),
        tuple(rows),
        "Of each surface point that the fit is given, in every fifth frame, per axis in % of the inter-ocular "
        "distance: seen, and turned away from the camera. Error / σ: root mean square, 1 is calibrated, more is "
        "overconfident; median 1.18, within σ 39.3 and within 2 σ 86.5 where errors are Gaussian. Rank correlation "
        "(Spearman) of σ with the error.",
    )


def _rig_sheet(records: Sequence[Record]) -> Sheet:
    def spread(mine: Sequence[Record], field: str) -> str:
        values = [v for r in mine for v in r.get(field) or () if v is not None]
        return f"{figure(mean(values))} / {figure(max(values))}" if values else NOTHING

    fields = ("cameras", "people", "tracker", "variant")
    rows = []
    for cameras, people, tracker, variant in dict.fromkeys(tuple(r[field] for field in fields) for r in records):
        mine = [r for r in records if tuple(r[field] for field in fields) == (cameras, people, tracker, variant)]
        focal = [abs(ratio - 1) * 100 for r in mine for ratio in r.get("focal_ratio") or () if ratio is not None]
        rows.append(
            (
                f"{tracker}, {variant}",
                PEOPLE[people],
                str(cameras),
                figure(mean([r.get("cd_mm") for r in mine])),
                spread(mine, "camera_rotation_deg"),
                spread(mine, "camera_position_percent"),
                figure(mean(focal)),
                f"{sum(r['cameras'] - (r.get('views') or 0) for r in mine)} of {sum(r['cameras'] for r in mine)}",
            )
        )
    return Sheet(
        "Several cameras, rendered people",
        ("tracker", "people", "cameras", "CD face, mm", "cameras °", "cameras %", "focal %", "views without face"),
        tuple(rows),
        "One moment seen by all cameras, with nothing known of them. Chamfer distance after alignment with scale; "
        "recovered cameras: mean / worst angle, and distance from the true place in % of its distance from the face, "
        "up to gauge; focal length's mean error.",
    )


def _real_sheets(real: Record) -> list[Sheet]:
    makers: dict[str, Callable[[Sequence[Record]], Sheet]] = {
        "photos": _photo_sheet,
        "scan": lambda records: _scan_sheet(records, real.get("scan_jointly") or ()),
        "zoom": _zoom_sheet,
        "clips": _clip_sheet,
    }
    return [make(real[name]) for name, make in makers.items() if real.get(name)]


PHOTO_FIGURES = {
    "nme_strict": "strict 11",
    "nme_approx": "approximate 68",
    "nme_inner": "inner",
    "boundary_error": "boundary",
    "nme_overall": "1 : 3",
    "pupil_error": "pupils",
}


def _photo_sheet(records: Sequence[Record]) -> Sheet:
    rows = []
    for tracker in dict.fromkeys(r["tracker"] for r in records):
        mine = [r for r in records if r["tracker"] == tracker]
        figures = (figure(mean([r.get(field) for r in mine])) for field in PHOTO_FIGURES)
        rows.append((tracker, *figures, f"{sum(r['lost'] for r in mine)} of {len(mine)}"))
    return Sheet(
        "Annotated photographs: landmark error",
        ("tracker", *PHOTO_FIGURES.values(), "lost"),
        tuple(rows),
        "In % of the distance between the outer eye corners. Inner: the annotated ones of iBUG's inner 51; boundary: "
        "nine points along the jaw to the mesh's silhouette or jaw line; 1 : 3 weights these two, as 17 : 51 points. "
        "The annotation's points differ a little from iBUG's.",
    )


def _scan_sheet(records: Sequence[Record], joint: Sequence[Record]) -> Sheet:
    views = list(dict.fromkeys(r["view"] for r in records))
    rows = []
    for tracker in dict.fromkeys(r["tracker"] for r in (*records, *joint)):
        mine = {r["view"]: r.get("cd_mm") for r in records if r["tracker"] == tracker}
        alone = (*(figure(mine.get(v)) for v in views), figure(mean(list(mine.values()))))
        together = [r for r in joint if r["tracker"] == tracker]
        plain = next((r for r in together if not r["variant"]), {})
        rows.append((tracker, *alone, *_joint_cells(plain)))
        none = (NOTHING,) * len(alone)
        rows += [(f"{tracker}, {r['variant']}", *none, *_joint_cells(r)) for r in together if r["variant"]]
    return Sheet(
        "Head scan: chamfer distance of the face, mm",
        ("tracker", *views, "mean", "jointly", "cameras °", "cameras %", "focal ×"),
        tuple(rows),
        "One view at a time (azimuth/elevation in degrees), their mean, and all views at once with nothing known of "
        "their cameras. Recovered cameras: mean / worst angle, and distance from the true place in % of its distance "
        "from the face, up to gauge; focal length as a multiple of the true one, mean. δ_d: deformation beyond the "
        "identity basis. Skin matched: posed by what the pictures show alike, not by the aligner's points alone.",
    )


def _joint_cells(record: Record) -> tuple[str, ...]:
    def spread(field: str, digits: int) -> str:
        values = [v for v in record.get(field) or () if v is not None]
        return f"{figure(mean(values), digits)} / {figure(max(values), digits)}" if values else NOTHING

    return (
        figure(record.get("cd_mm")),
        spread("camera_rotation_deg", 1),
        spread("camera_position_percent", 1),
        figure(mean(record.get("focal_ratio") or ())),
    )


def _zoom_sheet(records: Sequence[Record]) -> Sheet:
    rows = [
        (
            r["tracker"],
            r["photo"],
            figure(r["true_cm"], 0),
            figure(r.get("depth_cm"), 1),
            figure(r.get("focal_in_sides"), 2),
        )
        for r in records
    ]
    ranks = {r["tracker"]: r.get("rank_correlation") for r in records}
    told = "; ".join(f"{tracker} {figure(rank)}" for tracker, rank in ranks.items())
    return Sheet(
        "One person from four distances",
        ("tracker", "photo", "camera at, cm", "solved depth, cm", "focal, sides"),
        tuple(rows),
        f"Rank correlation of solved depth with the true distance: {told}. Distances are the set's own, about.",
    )


def _clip_sheet(records: Sequence[Record]) -> Sheet:
    rows = [
        (
            r["tracker"],
            r["clip"],
            f"{r['lost']} of {r['frames']}",
            figure(r.get("stability"), 4),
            figure(r.get("jitter_percent"), 3),
            str(r.get("still_frames", 0)),
        )
        for r in records
    ]
    return Sheet(
        "Real clips",
        ("tracker", "clip", "lost frames", "stability", "jitter on still frame ranges, %", "still frames"),
        tuple(rows),
        "Jitter: mean change of the 68 points from frame to frame in % of the outer eye corners' distance.",
    )


def to_rich(sheet: Sheet) -> Table:
    """The sheet for the terminal."""
    table = Table(title=sheet.title, title_justify="left", caption=sheet.note or None, caption_justify="left")
    for index, column in enumerate(sheet.columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*row)
    return table


def to_markdown(sheets: Sequence[Sheet], heading: str, foreword: str) -> str:
    """All sheets as one Markdown document."""
    parts = [f"# {heading}", foreword]
    for sheet in sheets:
        lines = [f"## {sheet.title}", ""]
        lines.append("| " + " | ".join(_cell(c) for c in sheet.columns) + " |")
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(sheet.columns) - 1)) + "|")
        lines += ["| " + " | ".join(_cell(c) for c in row) + " |" for row in sheet.rows]
        if sheet.note:
            lines += ["", sheet.note]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
