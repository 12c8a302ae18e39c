"""Marks of the skin away from landmarks, followed by optical flow that knows nothing of the network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.adaptation.frames import FACIAL, Frames
from backend.adaptation.skin import Skin
from backend.alignment.flowface.sampling import sample

F64 = NDArray[np.float64]
Picture = NDArray[np.uint8]

MOST = 80
"""Marks at most in a stretch."""
QUALITY = 0.02
"""Of the strongest corner's, the strength (Shi and Tomasi 1994) that a mark must have."""
APART = 8
"""Pixels between marks, in pictures of ``frames.SIDE``."""
AWAY = 0.05
"""Shares of the crop's side between a mark and any of the 51 landmarks: an eighth of the inter-ocular distance."""
WINDOW = 21
BACK = 0.6
"""Pixels by which a mark may miss where it came from when it is followed back (Kalal et al. 2010), in every frame."""
FACING = 0.5
"""Cosine below which skin is seen too obliquely for a mark to be followed."""
UNSOLVED = 2e-3
"""Shares of the crop's side: a mark farther from every point of the laid-out atlas lies off the face."""


@dataclass(frozen=True, eq=False)
class Marks:
    """M marks that were followed through all F frames of a stretch: ``frames (F,)`` are their indices, ``places
    (F,M,2)`` where they are, shares of the crop's side."""

    frames: NDArray[np.intp]
    places: F64


def follow_marks(frames: Frames, stretch: NDArray[np.intp], mu: F64, confidence: NDArray[np.float32]) -> Marks:
    """Corners of the skin in the stretch's first frame, followed to its last and back, step by step.

    ``mu (n,2)`` and ``confidence (n,)`` are the skin's texels in the first frame, which tell where skin is.
    """
    grey = [cv2.cvtColor(frames.pictures[t], cv2.COLOR_RGB2GRAY) for t in stretch]
    side = len(grey[0])
    mask = _skin_mask(mu[confidence > FACING] * side, frames.landmarks[stretch[0]][FACIAL] * side, side)
    corners = cv2.goodFeaturesToTrack(grey[0], MOST, QUALITY, APART, mask=mask, blockSize=7)
    if corners is None:
        return Marks(stretch, np.zeros((len(stretch), 0, 2)))
    places, good = [corners.reshape(-1, 2)], np.ones(len(corners), bool)
    for before, after in pairwise(grey):
        place, there = _flow(before, after, places[-1])
        back, again = _flow(after, before, place)
        good &= there & again & (np.linalg.norm(back - places[-1], axis=1) < BACK)
        places.append(place)
    back = places[-1]
    for before, after in pairwise(grey[::-1]):
        back, there = _flow(before, after, back)
        good &= there
    good &= np.linalg.norm(back - places[0], axis=1) < 2 * BACK
    # OpenCV counts from pixel centres, DESIGN §3 from the image's corner.
    return Marks(stretch, (np.stack(places)[:, good].astype(np.float64) + 0.5) / side)


def reprojection(marks: Marks, flow: Tensor, skin: Skin, frames: Frames) -> F64:
    """(F,M) distance of each mark from where the network lays it, in % of the inter-ocular distance; NaN where it lies
    off the face in most frames.

    ``flow (F,2,U,U)`` as ``Adapter.flows`` gives it. A mark's point of the atlas is the mean of those that the network
    finds under it in all the frames.
    """
    nu = np.stack([_under(places, flow[i : i + 1], skin) for i, places in enumerate(marks.places)])
    found = np.isfinite(nu).all(axis=-1)
    mean = np.nansum(nu, axis=0) / np.maximum(found.sum(axis=0), 1)[:, None]
    mean[found.mean(axis=0) < 0.5] = np.nan
    laid = mean + sample(flow, torch.from_numpy(np.nan_to_num(mean).astype(np.float32))).mT.double().numpy()
    off = frames.in_image(laid, marks.frames) - frames.in_image(marks.places, marks.frames)
    return np.asarray(100 * np.linalg.norm(off, axis=-1) / frames.interocular[marks.frames][:, None])


def _under(places: F64, flow: Tensor, skin: Skin) -> F64:
    """ν (M,2) of the atlas's points that lie at ``places`` (M,2) in one frame; NaN where none does."""
    if not len(places):
        return np.zeros((0, 2))
    coarse = skin.nu[::5]
    nearest = np.square(_laid(coarse, flow)[None] - places[:, None]).sum(axis=-1).argmin(axis=1)
    nu = coarse[nearest].astype(np.float64)
    step = 0.25 / flow.shape[-1]
    for _ in range(6):
        here = _laid(nu, flow)
        columns = [(_laid(nu + step * unit, flow) - _laid(nu - step * unit, flow)) / (2 * step) for unit in np.eye(2)]
        jacobian = np.stack(columns, axis=-1)
        well = np.abs(np.linalg.det(jacobian)) > 1e-3
        jacobian[~well] = np.eye(2)
        move = np.linalg.solve(jacobian, (places - here)[..., None])[..., 0]
        nu += np.clip(move, -2 * step, 2 * step)
    missed = np.linalg.norm(_laid(nu, flow) - places, axis=1) > UNSOLVED
    return np.where(missed[:, None], np.nan, nu)


def _laid(nu: NDArray[np.floating[Any]], flow: Tensor) -> F64:
    """μ (M,2) of ν (M,2) in one frame, shares of the crop's side."""
    at = torch.from_numpy(np.ascontiguousarray(nu, np.float32))
    return np.asarray(nu + sample(flow, at)[0].mT.double().numpy())


def _skin_mask(skin: F64, landmarks: NDArray[np.float32], side: int) -> Picture:
    """255 on the skin's points, 0 near landmarks; all in pixels."""
    mask = np.zeros((side, side), np.uint8)
    for x, y in np.round(skin).astype(int):
        cv2.circle(mask, (int(x), int(y)), 4, 255, -1)
    for x, y in np.round(landmarks).astype(int):
        cv2.circle(mask, (int(x), int(y)), round(AWAY * side), 0, -1)
    return mask


def _flow(
    before: Picture, after: Picture, places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where ``places`` (M,2) of one picture are in the other, and which were found (Lucas and Kanade 1981)."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, places, None, winSize=(WINDOW, WINDOW), maxLevel=3, criteria=criteria
    )
    return found, status.ravel() == 1
