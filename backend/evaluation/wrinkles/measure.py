"""How like the sculpted ones the wrinkles found are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.detail.displace import displaced_normals, displacement
from backend.detail.types import F32, Wrinkles
from backend.evaluation.wrinkles.sculpt import Sculpture
from backend.head_model.model import HeadModel, posed_vertices
from backend.texture.skin_atlas import skin_atlas
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track


@dataclass(frozen=True)
class Figures:
    """``correlation`` of displacement over forehead texels of the frames measured; its ``slope`` found over known;
    displacement on smooth skin and on painted moles there, millimetres (RMS and 95th percentile); ``normals`` the RMS
    error of normals on the forehead beside that of the smooth head; ``base`` the correlation where furrows always are.
    """

    correlation: float
    slope: float
    smooth_rms_mm: float
    smooth_p95_mm: float
    moles_mm: float
    normals: float
    base: float

    def row(self) -> str:
        """As a line of text."""
        return "  ".join(f"{name} {value:.3f}" for name, value in asdict(self).items())


def measure(
    found: Wrinkles, sculpture: Sculpture, track: Track, head: HeadModel, other: tuple[Track, HeadModel] | None = None
) -> Figures:
    """Compare at the frames of strongest brow raises and frowns; maps of one side each.

    ``track`` of ``head`` is the true performance; ``other`` the track and head that ``found`` belongs to.
    """
    fitted, own = other or (track, head)
    frames = _telling(track)
    known = [displacement(track, head, sculpture.wrinkles, frame) for frame in frames]
    mine = [_resized(displacement(fitted, own, found, frame), sculpture.wrinkles.side) for frame in frames]
    seen = _resized(found.seen, sculpture.wrinkles.side) > 0.5
    brow = sculpture.forehead & seen
    smooth = sculpture.smooth & seen & ~sculpture.moles
    truth = np.concatenate([one[brow] for one in known])
    guess = np.concatenate([one[brow] for one in mine])
    off = 1e3 * np.concatenate([one[smooth] for one in mine])
    spots = 1e3 * np.concatenate([one[sculpture.moles & seen & sculpture.smooth] for one in mine])
    always = sculpture.always & seen
    calm = np.concatenate([[0.0], *([one[always] for one in mine])])
    base = np.concatenate([[0.0], *([one[always] for one in known])])
    return Figures(
        correlation=_correlation(truth, guess),
        slope=float(truth @ guess / max(truth @ truth, 1e-30)),
        smooth_rms_mm=float(np.sqrt(np.mean(off**2))),
        smooth_p95_mm=float(np.percentile(np.abs(off), 95)),
        moles_mm=float(np.sqrt(np.mean(spots**2))) if len(spots) else 0.0,
        normals=_normals(track, head, frames, known, mine, brow),
        base=_correlation(base, calm),
    )


def depth_where(
    found: Wrinkles,
    places: NDArray[np.bool_],
    sculpture: Sculpture,
    track: Track,
    fitted: tuple[Track, HeadModel],
) -> float:
    """RMS displacement, millimetres, at seen places (S,S) where the skin is smooth: all of it is wrong.

    At the frames of ``measure``; 0 where no place is seen. ``fitted`` are the track and head that ``found`` belongs to.
    """
    own, head = fitted
    side = sculpture.wrinkles.side
    where = places & sculpture.smooth & (_resized(found.seen, side) > 0.5)
    depths = [_resized(displacement(own, head, found, frame), side)[where] for frame in _telling(track)]
    return 1e3 * float(np.sqrt(np.mean(np.square(depths)))) if where.any() else 0.0


def _telling(track: Track) -> list[int]:
    """Four frames of strongest brow raises and frowns, of expression alone: two of either kind."""
    effort = np.abs(track.expression - track.expression.mean(axis=0)).sum(axis=1)
    most = int(effort.argmax())
    unlike = np.linalg.norm(track.expression - track.expression[most], axis=1)
    return sorted({most, int(unlike.argmax())})


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _resized(picture: F32, side: int) -> F32:
    if len(picture) == side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def _normals(
    track: Track, head: HeadModel, frames: list[int], known: list[F32], mine: list[F32], where: NDArray[np.bool_]
) -> float:
    atlas = skin_atlas(head, len(known[0]))
    neutral = neutral_of(head, track)
    person = person_of(head, track)
    found, plain = 0.0, 0.0
    for frame, truth, guess in zip(frames, known, mine, strict=True):
        some = slice(frame, frame + 1)
        posed = posed_vertices(person, neutral, track.expression[some], track.gaze[some])[0]
        true, own, smooth = (
            displaced_normals(head, atlas, posed, depth)[where] for depth in (truth, guess, np.zeros_like(truth))
        )
        found += float(np.sum((own - true) ** 2))
        plain += float(np.sum((smooth - true) ** 2))
    return float(np.sqrt(found / max(plain, 1e-30)))
