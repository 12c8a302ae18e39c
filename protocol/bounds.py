"""What the texts and numbers of a job may be. Beyond lies a slip of the hand or nonsense, which nobody is to fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .codec import ProtocolError
from .codes import ProtocolCode

MAX_NAME = 200
"""Characters of a name: of a job, a view, a head, an aligner, a channel."""
MAX_PATH = 4096
"""Characters of a path: what Linux allows (PATH_MAX), and more than Windows does by default."""
MAX_VIEWS = 64
"""Cameras of a take: the largest rigs for faces have as many."""
MAX_FILES = 100_000
"""Images that a view names one by one, more than an hour of them; a folder may hold more."""
MAX_OFFSET = 1e8
"""Seconds, three years: what lies between two clocks, of which one was never set, does not count as an offset."""
FRAME_RATES = (1e-4, 1e6)
"""Frames per second: of one picture in three hours, and of the fastest cameras that film something larger than a spark
(Vision Research's Phantom TMX 7510 has 1.75 million, at 1280 × 32 pixels)."""
FOCAL_LENGTHS = (0.05, 1000.0)
"""In longer sides of the picture, which then sees 169° and 0.06°: the widest rectilinear lens (Goerz's Hypergon) has
0.18, fisheyes 0.2, the longest lens that was made for cameras (Canon's 5200 mm) 144."""
FOCAL_RATIOS = (0.1, 10.0)
"""fy/fx; anamorphic pictures have 0.5 to 2."""
FARTHEST_CENTRE = 20.0
"""How far from the picture's middle a lens may look, in longer sides: pictures are cropped out of larger ones."""
MAX_SIDE = 1 << 20
"""Pixels of a picture's side."""
FOCALS_PX = (1.0, FOCAL_LENGTHS[1] * MAX_SIDE)
"""What a focal length in pixels may be of whatever picture; where its size is known, ``focal_fault`` tells."""
LARGEST_BEND = 1000.0
"""The largest value of a term of a lens's distortion at the picture's corner, where 1 moves it by its own distance from
the centre. OpenCV's rational model has terms of up to some hundred, above and below the line, which cancel."""
ORTHONORMAL = 1e-2
"""The bound on RᵀR's distance from 1: files round to a few digits; beyond is no rotation (a scale, or other axes)."""
FURTHEST = 1e9
"""Units beyond which no camera stands: what comes of such numbers is no longer exact."""
FARTHEST_PX = 1e6
"""Pixels within which a point that was seen, or a box, lies."""


def bad_field(sentence: str) -> ProtocolError:
    """The refusal of a field in words."""
    return ProtocolError(ProtocolCode.BAD_FIELD, sentence)


def require_name(text: str, where: str) -> None:
    """Raise ProtocolError (``bad_field``) for what is no name: too long, or nothing that can be written."""
    _require_text(text, where, MAX_NAME, "a name")


def require_path(text: str, where: str) -> None:
    """Raise ProtocolError (``bad_field``) for what no file can be called, or cannot be sent."""
    _require_text(text, where, MAX_PATH, "what a file can be called")


def _require_text(text: str, where: str, longest: int, what: str) -> None:
    if len(text) > longest:
        raise bad_field(f"“{where}” must have at most {longest} characters, not {len(text)}.")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise bad_field(f"“{where}” must be {what}, in characters of Unicode and without NUL.")


def require_within(value: float | None, bounds: tuple[float, float], where: str, unit: str) -> None:
    """Raise ProtocolError (``bad_field``) for a number outside of bounds, which may be reached; None is none."""
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise bad_field(f"“{where}” must be {bounds[0]:g} to {bounds[1]:g} {unit}.")


def focal_fault(focal_px: float, image_size: tuple[int, int]) -> str:
    """Why a focal length is none of pictures of that size, as what it must be; "" where it may be one."""
    longer = max(image_size)
    low, high = FOCAL_LENGTHS[0] * longer, FOCAL_LENGTHS[1] * longer
    return "" if low <= focal_px <= high else f"a focal length of {low:g} to {high:,.0f} pixels for its image size"


def bend_fault(
    distortion: Sequence[float],
    focal: tuple[float, float],
    centre: tuple[float, float],
    image_size: tuple[int, int],
    *,
    fisheye: bool,
) -> str:
    """Why coefficients bend a picture as no lens does, as what they must be; "" where they may be a lens's."""
    (width, height), (x, y) = image_size, centre
    radius = math.hypot(max(x, width - x) / focal[0], max(y, height - y) / focal[1])
    if fisheye:
        radius = min(radius, math.pi)  # the angle from the axis, which grows more slowly
        orders: Sequence[int] = (2, 4, 6, 8)
    else:
        orders = (2, 4, 1, 1, 6, 2, 4, 6)
    largest = max((abs(k) * radius**n for k, n in zip(distortion, orders, strict=False)), default=0.0)
    return "" if largest <= LARGEST_BEND else "a distortion that bends the picture as a lens can"


def rigid_fault(matrix: Sequence[float]) -> str:
    """Why 12 numbers by rows are no [R | t] of a camera, as what they must be; "" where they are."""
    placed = np.array(matrix, np.float64).reshape(3, 4)
    rotation = placed[:, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(rotation.T @ rotation - np.eye(3)).max()
    if not off <= ORTHONORMAL:
        return "a rotation in world_to_camera, of columns that are of length 1 and square"
    if np.linalg.det(rotation) < 0:
        return "a rotation in world_to_camera that does not mirror the world"
    if np.abs(placed[:, 3]).max() > FURTHEST:
        return f"a translation in world_to_camera of at most {FURTHEST:g} units"
    return ""
