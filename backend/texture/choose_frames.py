"""The pictures that show a head best: sharp, calm, and together from all the sides that it was seen from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.lids import lid_closure
from backend.head_model.model import HeadModel
from backend.head_model.render import vertex_normals
from backend.texture.types import F64
from backend.track.geometry import neutral_of
from backend.track.types import Track

PICTURES = 20
"""At most. Of frames that are not among them, the face drawn in the texture differs by 31.8, 31.9 and 32.1 dB with 12,
16 and 24 of a slowly turning head (27.9, 27.3, 28.0 of a frowning one); each takes 0.1 to 0.15 s of one busy core."""
CANDIDATES = 900
"""Frames that are looked at, evenly spread over all views of a longer take."""
PLACES = 500
"""Points of the skin, evenly spread, that want to be seen."""
WANTED = 5.0
"""The number of face-on, sharp, calm views of a place after which more of it are worth nothing."""
BLUR_PX = 2.0
"""Pixels of motion from frame to frame that halve a picture's worth."""
CALM = 1.5
"""Sum of the actions' strengths that halves a picture's worth."""
ALIKE_S = 0.25
"""Seconds within which pictures of a view tell the same."""
CLOSED = 0.6
"""Share of a blink from which lids are looked at, which else are folded away."""


def choose_frames(track: Track, head: HeadModel, most: int = PICTURES) -> list[tuple[int, int]]:
    """(view, frame) of at most ``most`` pictures, ascending: those that, one after the other, show most that is new."""
    found = candidates(track)
    if not found:
        return []
    quality = np.concatenate([_quality(track, head, view, frames) for view, frames in found])
    places = [(view, int(frame)) for view, frames in found for frame in frames]
    reached = np.zeros(quality.shape[1])
    chosen: list[int] = []
    while len(chosen) < min(most, len(places)):
        gain = np.minimum(WANTED, reached + quality).sum(axis=1) - reached.sum()
        gain[chosen] = -1
        best = int(gain.argmax())
        if gain[best] <= 1e-3 * quality.shape[1]:
            break
        chosen.append(best)
        reached = np.minimum(WANTED, reached + quality[best])
        view, frame = places[best]
        apart = np.array(
            [abs(track.times[other] - track.times[frame]) if of == view else np.inf for of, other in places]
        )
        quality *= (1 - np.exp(-((apart / ALIKE_S) ** 2)))[:, None]
    return sorted(places[index] for index in chosen)


def candidates(track: Track) -> list[tuple[int, NDArray[np.intp]]]:
    """Each view's frames that show the head, evenly spread and ``CANDIDATES`` at most together."""
    seen = []
    for view, camera in enumerate(track.cameras):
        shown = track.tracked & (camera.footage_frames >= 0)
        if np.isfinite(camera.reprojection_error_percent_iod).any():
            shown &= np.isfinite(camera.reprojection_error_percent_iod)
        seen.append((view, np.flatnonzero(shown)))
    total = sum(len(frames) for _, frames in seen)
    step = max(1, -(-total // CANDIDATES))
    return [(view, frames[::step]) for view, frames in seen if len(frames)]


def _quality(track: Track, head: HeadModel, view: int, frames: NDArray[np.intp]) -> F64:
    """(n,P) how well each frame shows each of the places, 0…1, by the neutral head turned and placed as it is."""
    camera = track.cameras[view]
    neutral = neutral_of(head, track).astype(np.float64)
    skin = np.flatnonzero(head.regions.get("skin", np.ones(head.vertex_count, bool)))
    places = skin[:: max(1, len(skin) // PLACES)]
    normals = vertex_normals(neutral, head.triangles)[places]
    turned, moved = _placed(track, view)
    middle = neutral[places].mean(axis=0)
    sight = -np.einsum("tji,tj->ti", turned, np.einsum("tij,j->ti", turned, middle) + moved)
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    facing = np.clip(sight[frames] @ normals.T, 0, 1) ** 2
    worth = (_sharpness(turned, moved, camera.focal_px) * _size(moved, camera.focal_px))[frames]
    effort = np.abs(track.actions[frames]).sum(axis=1) if track.actions.shape[1] else np.zeros(len(frames))
    quality = facing * (worth / (1 + effort / CALM))[:, None]
    closing = lid_closure(head)
    if closing is not None and "lids" in head.regions:
        lids = head.regions["lids"][places]
        closed = (track.expression[frames] @ closing.T).mean(axis=1)
        quality[:, lids] = facing[:, lids] * (worth * np.clip((closed - CLOSED) / (1 - CLOSED), 0.02, 1))[:, None]
    return np.asarray(quality)


def sharpness(track: Track, view: int) -> F64:
    """(T,) how sharp and large a view shows the head, 0…1."""
    turned, moved = _placed(track, view)
    focal = track.cameras[view].focal_px
    return np.asarray(_sharpness(turned, moved, focal) * _size(moved, focal))


def _placed(track: Track, view: int) -> tuple[F64, F64]:
    """The head's rotation (T,3,3) and place (T,3) before a view's camera."""
    rotation = Rotation.from_rotvec(np.array(track.head_rotation)).as_matrix()
    extrinsics = track.cameras[view].world_to_camera
    moved = np.einsum("tij,tj->ti", extrinsics[:, :, :3], track.head_translation) + extrinsics[:, :, 3]
    return np.asarray(extrinsics[:, :, :3] @ rotation), np.asarray(moved)


def _sharpness(turned: F64, moved: F64, focal_px: F64) -> F64:
    """(T,) 1 for a still head, less the further its points go in the picture from frame to frame."""
    if len(turned) < 2:
        return np.ones(len(turned))
    probes = np.array([[0.06, 0, 0.05], [-0.06, 0, 0.05], [0, 0.08, 0.05], [0, -0.06, 0.06], [0, 0, 0.08]])
    there = np.einsum("tij,pj->tpi", turned, probes) + moved[:, None]
    pixels = focal_px[:, None, None] * there[..., :2] / there[..., 2:]
    step = np.linalg.norm(np.gradient(pixels, axis=0), axis=-1).mean(axis=1)
    return np.asarray(1 / (1 + step / BLUR_PX))


def _size(moved: F64, focal_px: F64) -> F64:
    """(T,) the head's size in the picture, the largest being 1."""
    size = focal_px / np.maximum(moved[:, 2], 1e-6)
    return np.asarray(np.sqrt(size / size.max()))
