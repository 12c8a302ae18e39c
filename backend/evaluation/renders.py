"""A head avatar's renders against the pictures that a take's export kept back for testing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.metrics.images import WINDOW, psnr, ssim
from backend.reading import is_file, is_folder, read_json

F64 = NDArray[np.float64]
Background = Literal["white", "black", "footage"]

BACKGROUNDS: tuple[Background, ...] = ("white", "black", "footage")
SPLITS = ("test", "val", "train", "all")
FOREGROUND = 0.5
"""Of alpha: from here on a pixel counts to the foreground."""
MAX_JSON_BYTES = 512 << 20
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
LPIPS = (
    "left out: its networks' weights come with no package that FlowFace installs. `render` and `truth` name the "
    "pictures of each pair for any program that has them."
)


@dataclass(frozen=True)
class RenderScores:
    """PSNR in dB and SSIM of one pair of pictures, or their means; None where a PSNR is infinite or nothing is seen."""

    psnr: float | None
    ssim: float | None
    psnr_foreground: float | None
    ssim_foreground: float | None


@dataclass(frozen=True)
class Pair:
    """A render and the picture that it should be like, with the mask that tells its person where alpha does not."""

    render: Path
    truth: Path
    mask: Path | None


def find_pairs(renders: Path, export: Path, split: str) -> list[Pair]:
    """A folder's renders by the frames of an export (``insta``, ``nerf`` or ``gaussian_avatars``).

    Renders are taken for the picture of the same name where the export has all of their names, else one after the other
    in the list's order, where there are as many as frames in ``split`` ("test", "val", "train" or "all").

    Raises:
        UserError: ``no_file`` where a folder, the list of frames or pictures are missing; ``bad_file`` for a damaged
            list; ``nothing_to_evaluate`` where renders and frames do not match.
    """
    found = _renders(renders)
    frames = _frames(export, split)
    truths = {Path(frame["file_path"]).stem: frame for frame in frames}
    if all(render.stem in truths for render in found):
        chosen = [truths[render.stem] for render in found]
    elif len(found) == len(frames):
        chosen = frames
    else:
        sentence = f"{renders} has {len(found)} pictures and {export} {len(frames)} frames ({split}) of other names."
        hint = "Render every frame of it, or name renders as the export's pictures; see --split."
        raise UserError(ErrorCode.NOTHING_TO_EVALUATE, sentence, hint)
    pairs = zip(found, chosen, strict=True)
    return [Pair(render, export / frame["file_path"], _mask(export, frame)) for render, frame in pairs]


def _renders(folder: Path) -> list[Path]:
    if not is_folder(folder):
        raise UserError(ErrorCode.NO_FILE, f"There is no folder {folder}.", "Name the folder of the renders.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(ErrorCode.NO_FILE, f"There is no picture in {folder}.", "Name the folder of the renders.")
    return found


def _frames(export: Path, split: str) -> list[dict[str, Any]]:
    path = export / ("transforms.json" if split == "all" else f"transforms_{split}.json")
    if not is_file(path) and is_file(export / "transforms.json") and split == "test":
        path = export / "transforms.json"  # as of NeRFs, which have no parts
    if not is_file(path):
        hint = "Name the folder of an export for head avatars; of several cameras, the folder of one."
        raise UserError(ErrorCode.NO_FILE, f"There is no {path.name} in {export}.", hint)
    content = read_json(path, "list of frames", MAX_JSON_BYTES)
    frames = content.get("frames") if isinstance(content, Mapping) else None
    known = [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else [{}]
    if not all(isinstance(frame.get("file_path"), str) for frame in known):
        raise UserError(ErrorCode.BAD_FILE, f"{path} does not list frames with a file_path.", "Export the take again.")
    return known


def _mask(export: Path, frame: Mapping[str, Any]) -> Path | None:
    named = frame.get("fg_mask_path", frame.get("mask_path"))
    return export / named if isinstance(named, str) else None


def score(pair: Pair, background: Background) -> RenderScores:
    """A render's likeness to its picture; both are laid over ``background`` where they let it through.

    "footage" leaves the picture as it was taken. Raises UserError ``image_size`` where they differ in size, and what
    reading pictures raises.
    """
    truth, alpha = _read(pair.truth)
    if pair.mask is not None:
        alpha = _read(pair.mask)[0][..., 0]
    render, through = _read(pair.render)
    if render.shape != truth.shape or alpha.shape != truth.shape[:2] or min(truth.shape[:2]) < WINDOW:
        sizes = f"{render.shape[1]} × {render.shape[0]} pixels and {pair.truth} {truth.shape[1]} × {truth.shape[0]}"
        hint = f"Render at the export's size; pictures need {WINDOW} pixels a side."
        raise UserError(ErrorCode.IMAGE_SIZE, f"{pair.render} has {sizes}.", hint)
    colour = 1.0 if background == "white" else 0.0
    if background != "footage":
        truth = truth * alpha[..., None] + colour * (1 - alpha[..., None])
    render = render * through[..., None] + colour * (1 - through[..., None])
    inside = alpha >= FOREGROUND
    values = (psnr(render, truth), ssim(render, truth), psnr(render, truth, inside), ssim(render, truth, inside))
    return RenderScores(*(value if math.isfinite(value) else None for value in values))


def _read(path: Path) -> tuple[F64, F64]:
    """Colours (H,W,3) and alpha (H,W) in 0…1 of a picture."""
    from PIL import Image

    from backend.footage import read_image

    colours = read_image(path).astype(np.float64) / 255
    with Image.open(path) as opened:  # whose size and contents were checked while its colours were read
        alpha = np.asarray(opened.getchannel("A"), np.float64) / 255 if opened.mode in ("RGBA", "LA") else None
    return colours, np.ones(colours.shape[:2]) if alpha is None else alpha


def mean_scores(scores: Sequence[RenderScores]) -> RenderScores:
    """The means over frames; of a figure that some frame lacks, those of the others, and None where all lack it."""
    means = {}
    for field in fields(RenderScores):
        known = [value for value in (getattr(one, field.name) for one in scores) if value is not None]
        means[field.name] = float(np.mean(known)) if known else None
    return RenderScores(**means)


def evaluate_pairs(
    pairs: Sequence[Pair], background: Background, on_done: Callable[[int], None]
) -> tuple[RenderScores, dict[str, Any]]:
    """The means, and all that is known as JSON writes it; ``on_done`` is told how many pairs are done."""
    scores = []
    for done, pair in enumerate(pairs, start=1):
        scores.append(score(pair, background))
        on_done(done)
    mean = mean_scores(scores)
    frames = [
        {"render": str(pair.render), "truth": str(pair.truth), **asdict(one)}
        for pair, one in zip(pairs, scores, strict=True)
    ]
    content = {"background": background, "mean": asdict(mean), "lpips": None, "lpips_note": LPIPS, "frames": frames}
    return mean, content


def as_json(content: Mapping[str, Any]) -> bytes:
    """Results as a JSON file."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
