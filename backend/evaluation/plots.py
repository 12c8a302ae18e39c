"""The pictures of an evaluation: error over horizons, cumulative error curves, and where on the head errors are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.tables import PROTOCOLS, Record
from backend.evaluation.types import REGIONS
from backend.files import read_npz

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F64 = NDArray[np.float64]

STYLES = {"single": "--", "sequence": "-"}
MAP_SIDE = 420
MAP_DISTANCE = 0.75  # metres from the camera to the head
MAP_FOCAL = 1150.0
MAP_YAWS = (0.0, 40.0)  # degrees


@dataclass(eq=False)
class HeatMaps:
    """Sums of per-vertex errors of the rendered head, and a head to draw them on."""

    vertices: NDArray[np.float32] | None = None
    triangles: NDArray[np.int32] | None = None
    middle: NDArray[np.float32] | None = None
    files: list[tuple[str, str, Path]] = field(default_factory=list)  # protocol, tracker, npz of a run

    def means(self, kind: str, protocol: str) -> dict[str, NDArray[np.float64]]:
        """Per tracker the mean (V,) over its runs of “ssme” or “cd”."""
        maps: dict[str, list[NDArray[np.float64]]] = {}
        for of_protocol, tracker, path in self.files:
            if of_protocol == protocol and path.is_file():
                error = read_npz(path, "error map").get(kind)
                if error is not None:
                    maps.setdefault(tracker, []).append(error)
        return {tracker: mean_of(errors) for tracker, errors in maps.items()}


def need_matplotlib() -> None:
    """Raises UserError ``no_matplotlib`` where plots cannot be drawn."""
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            ErrorCode.NO_MATPLOTLIB,
            "The evaluation's plots need matplotlib, which is not installed.",
            "Install this project with requirements.txt or its extra “evaluate”.",
        ) from error
    matplotlib.use("Agg")


def plot_horizons(runs: Sequence[Record], path: Path) -> None:
    """SSME_h over h, one panel per region, solid for sequences and dashed for single images (seeds/001 fig. 4)."""

    def draw(axes: Axes, region: str) -> None:
        for (protocol, tracker), color in _colors(runs).items():
            curves = [
                r["ssme_h"][region]
                for r in runs
                if r["protocol"] == protocol and r["tracker"] == tracker and r["ssme_h"].get(region)
            ]
            curve = mean_curve(curves)
            if np.isfinite(curve).any():
                words = f"{tracker}, {PROTOCOLS[protocol]}"
                axes.plot(np.arange(1, len(curve) + 1), curve, STYLES[protocol], color=color, label=words)
        axes.set(title=region, xlabel="horizon h, frames", ylabel="SSME$_h$, pixels")
        axes.set_ylim(bottom=0)

    _panels(draw, REGIONS, path)


def mean_curve(curves: Sequence[Sequence[float | None]]) -> F64:
    """(H,) mean of curves of different lengths, NaN where none reaches; H is the longest one's length."""
    longest = max((len(c) for c in curves), default=0)
    padded = np.full((max(1, len(curves)), longest), np.nan)
    for row, curve in zip(padded, curves, strict=False):
        row[: len(curve)] = [np.nan if v is None else v for v in curve]
    return mean_of(list(padded))


def mean_of(maps: Sequence[F64]) -> F64:
    """(V,) mean of maps (V,) over those that are finite; NaN where none is."""
    stacked = np.stack(maps).astype(np.float64)
    seen = np.isfinite(stacked)
    return np.where(seen, stacked, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def plot_cumulative(
    samples: Mapping[str, Sequence[float]], path: Path, *, label: str, limit: float, heading: str
) -> None:
    """For each name, the share of samples whose error is at most x, up to ``limit``."""

    def draw(axes: Axes, _panel: str) -> None:
        for name, values in samples.items():
            ordered = np.sort([v for v in values if np.isfinite(v)])
            if len(values):
                share = np.arange(1, len(ordered) + 1) / len(values)  # failures count as infinitely wrong
                axes.step(
                    np.concatenate([[0], ordered, [max(limit, ordered[-1] if len(ordered) else 0)]]),
                    np.concatenate([[0], share, [share[-1] if len(share) else 0]]),
                    where="post",
                    label=name,
                )
        axes.set(xlabel=label, ylabel="share", xlim=(0, limit), ylim=(0, 1), title=heading)

    _panels(draw, ("",), path)


def plot_calibration(curves: Mapping[str, tuple[F64, F64]], path: Path) -> None:
    """Errors against the σ that an aligner said: for each name σ and error (n,), % of the inter-ocular distance."""

    def draw(axes: Axes, _panel: str) -> None:
        told = [values for curve in curves.values() for values in curve if len(values)]
        low, high = (0.1, 10.0) if not told else (min(v.min() for v in told), max(v.max() for v in told))
        axes.plot([low, high], [low, high], color="0.5", linestyle="--", linewidth=1, label="calibrated")
        for name, (sigma, error) in curves.items():
            axes.plot(sigma, error, marker="o", markersize=3, label=name)
        words = ", % of the inter-ocular distance"
        axes.set(xscale="log", yscale="log", xlabel=f"σ{words}", ylabel=f"error per axis, RMS{words}")
        axes.set_title("σ against what it should be")

    _panels(draw, ("",), path)


def _panels(draw: Callable[[Any, str], None], names: Sequence[str], path: Path) -> None:
    figure = _figure((3.6 * len(names) + (1.6 if len(names) == 1 else 0), 4.2 if len(names) > 1 else 5.2))
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        draw(axes, name)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if len(names) == 1 else 4, fontsize="small")
    _save(figure, path)


def _figure(size: tuple[float, float]) -> Figure:
    need_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)


def _colors(runs: Sequence[Record]) -> dict[tuple[str, str], str]:
    """A colour per tracker, under every protocol it has results for."""
    trackers = list(dict.fromkeys(r["tracker"] for r in runs))
    keys = dict.fromkeys((r["protocol"], r["tracker"]) for r in runs)
    return {(protocol, tracker): f"C{trackers.index(tracker) % 10}" for protocol, tracker in keys}


def plot_heat_maps(
    maps: Mapping[str, F64],
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    path: Path,
    *,
    label: str,
    middle: NDArray[np.floating[Any]] | None = None,
) -> None:
    """Errors per vertex (V,) of each name, coloured on the head ``vertices (V,3)`` (head space, metres).

    The pictures centre on ``middle (3,)``. All share one scale, whose top is the largest 95th percentile. Grey where
    nothing was measured.
    Raises UserError ``no_opengl`` where nothing can be drawn.
    """
    need_matplotlib()
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    measured = [m[np.isfinite(m)] for m in maps.values()]
    top = max((float(np.percentile(m, 95)) for m in measured if len(m)), default=1.0) or 1.0
    scale = Normalize(0.0, top)
    colormap = matplotlib.colormaps["turbo"]
    figure = _figure((2.4 * len(maps) + 0.8, 2.5 * len(MAP_YAWS) + 0.4))
    panels = figure.subplots(len(MAP_YAWS), len(maps), squeeze=False)
    for column, (name, error) in enumerate(maps.items()):
        colors = np.where(np.isfinite(error)[:, None], colormap(scale(np.nan_to_num(error)))[:, :3], 0.62)
        for row, image in enumerate(_drawn_from_sides(vertices, triangles, colors, middle)):
            panels[row, column].imshow(image)
            panels[row, column].axis("off")
        panels[0, column].set_title(name, fontsize="small")
    figure.colorbar(ScalarMappable(scale, colormap), ax=panels, label=label, shrink=0.7)
    _save(figure, path)


def _drawn_from_sides(
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    colors: F64,
    middle: NDArray[np.floating[Any]] | None,
) -> list[NDArray[np.uint8]]:
    from backend.head_model.render import HeadRenderer, Light, look_at_head

    if middle is None:
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    front = Light((0.0, -0.2, -1.0), (0.25, 0.25, 0.25))
    pictures = []
    with HeadRenderer((MAP_SIDE, MAP_SIDE)) as renderer:
        for yaw in MAP_YAWS:
            camera = look_at_head(MAP_DISTANCE, np.deg2rad(yaw), target=tuple(middle))
            pictures.append(
                renderer.render(
                    vertices,
                    triangles,
                    colors,
                    focal_px=MAP_FOCAL,
                    principal_point=(MAP_SIDE / 2, MAP_SIDE / 2),
                    world_to_camera=camera,
                    background=np.full((MAP_SIDE, MAP_SIDE, 3), 255, np.uint8),
                    lights=(front,),
                    ambient=(0.95, 0.95, 0.95),
                    gloss=0.0,
                )
            )
    return pictures
