"""Every plot that there are results for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.evaluation import plots
from backend.evaluation.tables import PROTOCOLS
from backend.evaluation.trackers.results_folder import SEQUENCE
from backend.evaluation.uncertainty import calibration_curve


def draw_plots(results: dict[str, Any], heat: plots.HeatMaps, out: Path) -> None:
    """Every plot for which there are results."""
    runs = [r for r in results["runs"] if r["ssme_h"]]
    if runs:
        plots.plot_horizons(runs, out / "ssme_over_horizon.png")
        plots.plot_cumulative(
            _samples(runs, "landmark_nme_frames"),
            out / "cumulative_nme_rendered.png",
            label="NME of the inner 51, % of the box",
            limit=6.0,
            heading="Rendered frames",
        )
        plots.plot_cumulative(
            _samples(runs, "cd_face_quantiles_mm"),
            out / "cumulative_cd.png",
            label="distance of a face vertex, mm",
            limit=5.0,
            heading="Rendered heads",
        )
    if results["uncertainty"]:
        plots.plot_calibration(
            {
                tracker: calibration_curve([r for r in results["uncertainty"] if r["tracker"] == tracker])
                for tracker in dict.fromkeys(r["tracker"] for r in results["uncertainty"])
            },
            out / "sigma_calibration.png",
        )
    photos = (results["real"] or {}).get("photos") or []
    if photos:
        plots.plot_cumulative(
            {
                tracker: [float("inf") if r["lost"] else r["nme_strict"] for r in photos if r["tracker"] == tracker]
                for tracker in dict.fromkeys(r["tracker"] for r in photos)
            },
            out / "cumulative_nme_photos.png",
            label="NME on the strict subset, % of the outer eye corners' distance",
            limit=6.0,
            heading="Photographs",
        )
    if heat.vertices is not None and heat.triangles is not None:
        for kind, label in (("ssme", "motion error, pixels"), ("cd", "distance, mm")):
            maps = heat.means(kind, SEQUENCE)
            if maps:
                path = out / f"heat_map_{kind}.png"
                plots.plot_heat_maps(maps, heat.vertices, heat.triangles, path, middle=heat.middle, label=label)


def _samples(runs: Sequence[dict[str, Any]], name: str) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {}
    for run in runs:
        values = samples.setdefault(f"{run['tracker']}, {PROTOCOLS[run['protocol']]}", [])
        values += [float("inf") if v is None else v for v in run.get(name) or []]
    return {key: values for key, values in samples.items() if values}
