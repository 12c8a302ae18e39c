"""The points of several aligners on the same footage, side by side, each point in the colour of its σ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from backend.alignment.face_following import align_frames
from backend.alignment.finder import face_finder
from backend.alignment.registry import find_aligner
from backend.alignment.types import Aligner
from backend.errors import ErrorCode, UserError
from backend.footage import Footage, FootageFrame, open_footage, prefetch
from backend.footage.encode import encode
from backend.head_model.library import load_head
from backend.observations import AlignedFrame, Alignment

Picture = NDArray[np.uint8]

LEAST, MOST = 0.1, 6.0
"""σ at the two ends of the colours, per cent of the face's extent in the image; blue is low, red is high."""
CLOSE_UP = 640  # px, side of a close-up
MARGIN = 1.25  # of a close-up about the points of all aligners
TALLEST = 720  # px, of a video's frames


@dataclass(frozen=True)
class ComparisonOptions:
    """``out`` ends in .mp4 for whole frames as a video, or .png for close-ups of ``pictures`` frames.

    ``frames`` is (first, last), both included, None for all; ``weights`` the alignment network's, None its own.
    """

    footage: Path
    out: Path
    aligners: tuple[str, ...] = ("mediapipe", "flowface")
    weights: Path | None = None
    head: str = "open"
    frames: tuple[int, int] | None = None
    pictures: int = 4


def compare_aligners(options: ComparisonOptions) -> Path:
    """Align the largest face with every aligner and draw what each sees; returns the file written.

    Raises UserError: ``bad_output`` for another kind of file, ``output_unwritable``, ``no_frames``, and what reading
    footage and finding aligners raise.
    """
    kind = options.out.suffix.lower()
    if kind not in (".png", ".mp4"):
        raise UserError(
            ErrorCode.BAD_OUTPUT, f"{options.out} must end in .png or .mp4.", "Name such a file with --out."
        )
    head = load_head(options.head)
    aligners = [find_aligner(name, head, options.weights) for name in options.aligners]
    footage = open_footage(options.footage, options.frames)
    part = options.out.with_name(f".{options.out.stem}.part{kind}")
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with closing(prefetch(footage)) as frames:
            if kind == ".png":
                rows = [_close_ups(f, seen, aligners) for f, seen in _seen(_some(frames, footage, options), aligners)]
                if not rows:
                    raise UserError(ErrorCode.NO_FRAMES, f"No frame of {options.footage} could be read.")
                picture = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
                part.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            else:
                drawn = ((f, _side_by_side(f, seen, aligners)) for f, seen in _seen(frames, aligners))
                encode(part, drawn, footage.info)
        part.replace(options.out)
    except (OSError, FFmpegError) as error:
        raise UserError(
            ErrorCode.OUTPUT_UNWRITABLE, f"{options.out} cannot be written: {error.strerror or error}."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return options.out


def _some(frames: Iterator[FootageFrame], footage: Footage, options: ComparisonOptions) -> Iterator[FootageFrame]:
    """``pictures`` of the frames, spread over the footage."""
    wanted = set(np.linspace(0, max(footage.total - 1, 0), max(options.pictures, 1)).round().astype(int).tolist())
    return (frame for index, frame in enumerate(frames) if index in wanted)


def _seen(
    frames: Iterator[FootageFrame], aligners: Sequence[Aligner]
) -> Iterator[tuple[FootageFrame, tuple[Alignment | None, ...]]]:
    """Every frame and what each aligner sees in it, one frame at a time."""
    own, *others = tee(frames, len(aligners) + 1)
    streams = [align_frames(other, a, finder=face_finder()) for other, a in zip(others, aligners, strict=True)]
    waiting: list[list[AlignedFrame]] = [[] for _ in streams]
    for frame in own:
        yield frame, tuple(_of(frame, stream, held) for stream, held in zip(streams, waiting, strict=True))


def _of(frame: FootageFrame, stream: Iterator[AlignedFrame], held: list[AlignedFrame]) -> Alignment | None:
    """The stream's answer for a frame; it may come late, after frames without a face, and is in order."""
    if not held:
        held.extend(found for found in [next(stream, None)] if found is not None)
    if held and held[0].number == frame.number:
        return held.pop(0).alignment
    return None


def _side_by_side(frame: FootageFrame, seen: Sequence[Alignment | None], aligners: Sequence[Aligner]) -> Picture:
    """The whole frame once for each aligner, both sides even."""
    height, width = frame.image.shape[:2]
    scale = min(1.0, TALLEST / height)
    size = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
    whole = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    panels = []
    for found, aligner in zip(seen, aligners, strict=True):
        points = None if found is None else found.mu.astype(np.float64) * (size[0] / width, size[1] / height)
        panels.append(_panel(whole, found, points, f"{aligner.name}  {frame.number}", size[0] / width))
    return np.hstack(panels)


def _close_ups(frame: FootageFrame, seen: Sequence[Alignment | None], aligners: Sequence[Aligner]) -> Picture:
    """The face alone, once bare and once for each aligner."""
    points = [found.mu for found in seen if found is not None]
    height, width = frame.image.shape[:2]
    low, high = (
        (np.min([p.min(axis=0) for p in points], axis=0), np.max([p.max(axis=0) for p in points], axis=0))
        if points
        else (np.zeros(2), np.array([width, height]))
    )
    side = MARGIN * float((high - low).max())
    corner = (low + high) / 2 - side / 2
    scale = CLOSE_UP / side
    # OpenCV counts from pixel centres, DESIGN §3 from the image's corner.
    affine = np.column_stack([np.eye(2) * scale, (0.5 - corner) * scale - 0.5])
    bare = np.asarray(cv2.warpAffine(frame.image, affine, (CLOSE_UP, CLOSE_UP), flags=cv2.INTER_AREA), np.uint8)
    panels = [_panel(bare, None, None, f"{frame.number}", scale)]
    for found, aligner in zip(seen, aligners, strict=True):
        posed = None if found is None else (found.mu - corner) * scale
        panels.append(_panel(bare, found, posed, aligner.name, scale))
    return np.hstack(panels)


def _panel(
    picture: Picture, found: Alignment | None, points: NDArray[np.float64] | None, words: str, scale: float
) -> Picture:
    """A copy with the valid points, those of the largest σ underneath, and ``words``."""
    drawn = picture.copy()
    if found is not None and points is not None:
        mu, sigma, valid = found.mu, found.sigma, found.valid
        extent = max(float(np.ptp(mu, axis=0).max()), 1e-6)
        colors = sigma_colors(100 * sigma / extent)
        radius = float(np.clip(extent * scale / 300, 0.8, 3))
        for i in np.argsort(-sigma)[: len(points)]:
            if valid[i] and np.abs(points[i]).max() < 1e4:
                x, y = np.round((points[i] - 0.5) * 16).astype(int)
                colour = tuple(int(c) for c in colors[i])
                cv2.circle(drawn, (int(x), int(y)), round(radius * 16), colour, -1, cv2.LINE_AA, 4)
        words += f"  median sigma {np.median(sigma[valid]):.1f} px" if valid.any() else "  no points"
    for ink, weight in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(drawn, words, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.55, ink, weight, cv2.LINE_AA)
    return drawn


def sigma_colors(percent: NDArray[np.floating[Any]]) -> Picture:
    """RGB (N,3) for σ (N,) in per cent of the face's extent, on a logarithmic scale from ``LEAST`` to ``MOST``."""
    share = np.log(np.maximum(percent, 1e-9) / LEAST) / np.log(MOST / LEAST)
    index = np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(index[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8)
