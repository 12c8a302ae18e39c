"""The colour of a person's irises, read from a take's calmest pictures of open eyes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.distortion import distort, lens_of
from backend.errors import UserError
from backend.head_model.lids import lid_closure
from backend.head_model.model import HeadModel, gaze_rotation, surface_positions
from backend.pipeline.align_views import AlignedView, picture_at
from backend.track.geometry import neutral_of, seen_vertices
from backend.track.types import Track

F64 = NDArray[np.float64]

Pictures = Callable[[int], NDArray[np.uint8] | None]
"""The RGB picture (H,W,3) at a frame of the take; None where there is none."""

FRAMES = 4
"""Pictures that are looked at, each the best of its stretch of the take: each is decoded anew."""
LEAST_RADIUS_PX = 5.0
"""Of an iris: below it, lens and compression have mixed it with pupil and white (a ring of 2 pixels is left)."""
MOST_CLOSED = 0.25
"""Share of a blink above which the lid shades what is left of the iris."""
MOST_ASIDE = 0.5
"""Radians between the line of sight and the eye's axis."""
LEAST_SAMPLES = 3
"""Irises that must be read, each eye in each picture being one; of a still, two."""
MOST_SPREAD = 0.35
"""Median distance of the readings from their median, as a share of its brightness, above which they say nothing."""

_IRISES = ((473, 474, 475, 476, 477), (468, 469, 470, 471, 472))
_LIDS = (
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
)
_RING = (0.55, 0.85)  # of the iris's radius: outside the pupil, inside the dark border
_WHITE = (1.3, 1.7)
_WHITE_COLOR = (0.72, 0.70, 0.67)  # linear RGB of sclera
IRIS_RADIUS_M = 0.00585  # half the mean visible iris diameter of adults
LEAST_PIXELS = 12
LID_SHARE = 0.85  # of the lids' opening, about its middle
BRIGHTEST = 0.45  # linear: no iris is lighter, but a lamp's mirror image is
GAMMA = 2.2


def read_iris_color(track: Track, head: HeadModel, pictures: Pictures) -> tuple[float, ...]:
    """sRGB (3) in 0…1 of the irises in the first view, or () where the pictures do not tell it.

    Each reading is the colour of the iris's lower ring, divided by that of the white beside it, which had the same
    light. There must be several, and they must agree: glasses that mirror a screen, for one, make them differ.
    """
    points = head.landmarks.get("mediapipe478")
    if points is None or len(points) != 478:
        return ()
    neutral = neutral_of(head, track)
    readings = []
    for frame, sides in calm_frames(track, head):
        picture = pictures(frame)
        if picture is None:
            continue
        seen = seen_vertices(head, track, np.array([frame]), neutral=neutral)[0]
        at = distort(surface_positions(points, head.triangles, seen)[:, :2], lens_of(track.cameras[0]))
        found = [_reading(picture, at[list(_IRISES[side])], at[list(_LIDS[side])]) for side in sides]
        readings += [reading for reading in found if reading is not None]
    return _agreed(np.array(readings).reshape(-1, 3), LEAST_SAMPLES if len(track.times) > 1 else 2)


def view_pictures(view: AlignedView) -> Pictures:
    """The pictures of a job's view, decoded anew when they are asked for."""

    def picture(frame: int) -> NDArray[np.uint8] | None:
        try:
            return picture_at(view, frame)
        except UserError:
            return None  # it was read once; that it cannot be any more costs the colour, not the take

    return picture


def calm_frames(track: Track, head: HeadModel) -> list[tuple[int, tuple[int, ...]]]:
    """At most ``FRAMES`` frames, spread over the take, and the sides (0 the subject's left) whose iris is well seen.

    Open lids, an eye that looks towards the camera and is large in the picture; of those, where the head moves least.
    """
    closing = lid_closure(head)
    if closing is None or not track.tracked.any():
        return []
    camera = track.cameras[0]
    pose = camera.world_to_camera
    turned = Rotation.from_matrix(pose[:, :, :3]) * Rotation.from_rotvec(np.array(track.head_rotation))
    place = np.einsum("tij,tj->ti", pose[:, :, :3], track.head_translation) + pose[:, :, 3]
    sight = -place / np.linalg.norm(place, axis=1, keepdims=True)
    looks = turned.as_matrix()[:, None] @ gaze_rotation(track.gaze)
    facing = np.einsum("tsi,ti->ts", looks[..., 2], sight)
    radius = IRIS_RADIUS_M * camera.focal_px / place[:, 2]
    good = (track.expression @ closing.T < MOST_CLOSED) & (facing > np.cos(MOST_ASIDE))
    good &= (track.tracked & (radius >= LEAST_RADIUS_PX))[:, None]
    pixels = camera.focal_px[:, None] * place[:, :2] / place[:, 2:]
    moved = np.linalg.norm(np.gradient(pixels, axis=0), axis=1) if len(pixels) > 1 else np.zeros(1)
    worth = good.sum(axis=1) * radius / (1 + moved)
    frames = [
        int(part[worth[part].argmax()])
        for part in np.array_split(np.flatnonzero(good.any(axis=1)), FRAMES)
        if len(part)
    ]
    return [(frame, tuple(np.flatnonzero(good[frame]).tolist())) for frame in frames]


def _reading(picture: NDArray[np.uint8], iris: F64, lids: F64) -> F64 | None:
    """Linear RGB (3) of an iris by the white beside it, from the iris's centre and border (5,2) and the lids (16,2)."""
    if not (np.isfinite(iris).all() and np.isfinite(lids).all()):
        return None
    centre, across = iris[0], (iris[1] - iris[3]) / 2
    down = (iris[4] - iris[2]) / 2
    if min(np.linalg.norm(across), np.linalg.norm(down)) < LEAST_RADIUS_PX * np.cos(MOST_ASIDE):
        return None
    reach = np.abs(across) * _WHITE[1] + np.abs(down) * _WHITE[1] + 1
    low = np.floor(centre - reach).astype(int)
    high = np.ceil(centre + reach).astype(int)
    if (low < 0).any() or (high >= picture.shape[1::-1]).any():
        return None
    columns, rows = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
    offset = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5 - centre
    x, y = np.linalg.solve(np.stack([across, down], axis=1), offset.T)
    radius = np.hypot(x, y)
    light = (picture[low[1] : high[1] + 1, low[0] : high[0] + 1].reshape(-1, 3) / 255.0) ** GAMMA
    # lids by landmarks are a pixel off at times, and their lashes throw shadows: the middle of the opening is left
    opened = _inside(offset + centre, lids.mean(axis=0) + LID_SHARE * (lids - lids.mean(axis=0)))
    ring = opened & (radius > _RING[0]) & (radius < _RING[1]) & (y > -0.2)
    white = opened & (radius > _WHITE[0]) & (radius < _WHITE[1]) & (np.abs(y) < 0.5)
    if ring.sum() < LEAST_PIXELS or white.sum() < LEAST_PIXELS:
        return None
    # of the iris the darker part, as mirror images of lamps are bright; of the white the brighter, as vessels are not
    reading = np.quantile(light[ring], 0.4, axis=0) / np.maximum(np.quantile(light[white], 0.7, axis=0), 1e-3)
    return np.asarray(reading * _WHITE_COLOR)


def _agreed(readings: F64, least: int) -> tuple[float, ...]:
    if len(readings) < least:
        return ()
    middle = np.median(readings, axis=0)
    spread = np.median(np.abs(readings - middle).max(axis=1)) / max(float(middle.max()), 1e-6)
    if spread > MOST_SPREAD or middle.max() > BRIGHTEST:
        return ()
    return tuple(np.clip(middle, 0.0, 1.0) ** (1 / GAMMA))


def _inside(points: F64, outline: F64) -> NDArray[np.bool_]:
    """Which points (n,2) lie inside a polygon (k,2), by the parity of its edges to their right."""
    a, b = outline, np.roll(outline, -1, axis=0)
    above = a[None, :, 1] > points[:, None, 1]
    crosses = above != (b[None, :, 1] > points[:, None, 1])
    slope = (b[:, 0] - a[:, 0]) / np.where(b[:, 1] == a[:, 1], 1e-12, b[:, 1] - a[:, 1])
    right = points[:, None, 0] < a[None, :, 0] + (points[:, None, 1] - a[None, :, 1]) * slope
    return np.asarray((crosses & right).sum(axis=1) % 2 == 1)
