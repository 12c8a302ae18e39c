"""What a user tells about a tracked take, which a ``RefineJob`` holds to: pins, masks, and keys handed back.

A frame is the number of the first view's footage frame (``backend.track.types.Track.frames``), in whichever view
something was corrected. Positions are pixels of a view's picture as displayed and with its lens, (0,0) its top-left
corner.
"""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import require_name
from .codec import ProtocolError
from .codes import ProtocolCode

PIN_SIGMA_PX = 0.5
"""σ of a pin in pixels where nobody says another: what a hand with a mouse can place."""
SIGMAS = (0.01, 1000.0)
FARTHEST_PX = 1e6
LARGEST_VALUE = 1e6
"""Of a key: what a solve can still count with."""
MAX_PINS, MAX_MASKS, MAX_KEYS = 1000, 1000, 200_000
"""Of a refine. What pins ask is kept for each at every frame and view (a gigabyte for 1000 in 10,000 frames of three
views); keys on all channels of 2000 frames are 130,000."""
MAX_CORNERS = 1000
"""Of a mask: each is compared with every point at every frame."""
FRAMES = 1 << 31
"""No frame's number reaches it."""
ACTION = "action:"
"""How the channel of an action's key begins; the name of one of the head's expressions follows."""
CHANNELS = {"gaze:left": 2, "gaze:right": 2, "head_rotation": 3, "head_translation": 3}
"""The channels that are no actions, and how many numbers a key on them has."""


@dataclass(frozen=True)
class Pin:
    """A point of the head's surface, and where it lies in one view at one frame.

    ``triangle`` counts in the take's ``HeadGeometry.triangles`` and must be one of the head model's own, not of brows,
    lashes or teeth that were put onto it; ``barycentric`` are the weights of its corners. ``sigma_px`` is how sure the
    position is, one standard deviation.
    """

    view: str
    frame: int
    triangle: int
    barycentric: tuple[float, float, float]
    position: tuple[float, float]
    sigma_px: float = PIN_SIGMA_PX

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where it is no point of a surface, or of no picture."""
        require_name(self.view, "pin.view")
        _require_frame(self.frame, "pin.frame")
        _require(0 <= self.triangle < FRAMES, "pin.triangle", "a triangle's number, from 0")
        inside = all(-1e-3 <= weight <= 1.001 for weight in self.barycentric)
        _require(inside and abs(sum(self.barycentric) - 1) < 1e-3, "pin.barycentric", "weights from 0 that add up to 1")
        _require(_are_pixels(*self.position), "pin.position", "two numbers of pixels")
        _require(SIGMAS[0] <= self.sigma_px <= SIGMAS[1], "pin.sigma_px", f"{SIGMAS[0]:g} to {SIGMAS[1]:g} pixels")


@dataclass(frozen=True)
class Mask:
    """A region of one view in which nothing that was seen of the face counts.

    ``frames`` are (first, last), both included, None for all. ``polygon`` are the corners (x, y) of the region, () for
    the whole picture; every point inside by the even-odd rule is ignored. ``drawn_at`` is the frame on which the
    polygon was drawn where it follows the head from there; None: it stands still.
    """

    view: str
    frames: tuple[int, int] | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    drawn_at: int | None = None

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where its frames run backwards or its polygon is none."""
        require_name(self.view, "mask.view")
        if self.frames is not None:
            _require(self.frames[0] <= self.frames[1], "mask.frames", "a first frame and one that is not before it")
            for frame in self.frames:
                _require_frame(frame, "mask.frames")
        if self.drawn_at is not None:
            _require_frame(self.drawn_at, "mask.drawn_at")
        _require(len(self.polygon) <= MAX_CORNERS, "mask.polygon", f"{MAX_CORNERS} corners at most")
        corners = [number for corner in self.polygon for number in corner]
        whole = not self.polygon
        _require(
            whole or (len(self.polygon) >= 3 and _are_pixels(*corners)), "mask.polygon", "3 corners in pixels, or none"
        )


@dataclass(frozen=True)
class HeldKey:
    """A value that a user set at a frame and wants kept.

    ``channel`` is ``action:`` and the name of one of the head's expressions (one number, its strength), ``gaze:left``
    or ``gaze:right`` ((yaw, pitch) radians), ``head_rotation`` (axis-angle) or ``head_translation`` (metres); all as
    in ``Performance``. A strength beyond its expression's bounds is held to the bound.
    """

    frame: int
    channel: str
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for an unknown channel or a value that is none of its."""
        _require_frame(self.frame, "key.frame")
        require_name(self.channel, "key.channel")
        action = self.channel.startswith(ACTION) and len(self.channel) > len(ACTION)
        known = ", ".join([f"{ACTION}NAME", *CHANNELS])
        _require(action or self.channel in CHANNELS, "key.channel", f"one of {known}")
        count = 1 if action else CHANNELS[self.channel]
        right = len(self.value) == count and all(abs(number) <= LARGEST_VALUE for number in self.value)
        numbers = f"{count} finite numbers" if count > 1 else "one number"
        _require(right, "key.value", f"{numbers} for “{self.channel[:60]}”, none beyond {LARGEST_VALUE:,.0f}")

    @property
    def action(self) -> str | None:
        """The name of the expression that it holds; None where it holds something else."""
        return self.channel[len(ACTION) :] if self.channel.startswith(ACTION) else None


def _require_frame(frame: int, name: str) -> None:
    _require(-FRAMES <= frame < FRAMES, name, "a frame's number")


def _are_pixels(*numbers: float) -> bool:
    return all(abs(number) < FARTHEST_PX for number in numbers)


def _require(right: bool, name: str, wanted: str) -> None:
    if not right:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{name}” must be {wanted}.")
