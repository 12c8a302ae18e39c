"""The focal length that a picture's EXIF tells (CIPA DC-008), and whether it is still the picture it was told of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.footage.stills import open_image, read_header

FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)  # mm; focal lengths "in 35 mm film" are those of the same diagonal
_EXIF = 0x8769  # the directory of
_FOCAL, _IN_35MM, _WIDTH, _HEIGHT, _DENSITY, _DENSITY_UNIT = 37386, 41989, 40962, 40963, 41486, 41488
_MAKE, _MODEL, _LENS_MODEL = 271, 272, 42036
_NAMES = 200  # characters of a camera's names that count
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}
_PROPORTIONS = 0.01  # relative; rounding to whole pixels stays below it for pictures of 100 pixels
_POSSIBLE = (0.2, 40.0)  # focal lengths in longer sides: a fisheye's and a telescope's


@dataclass(frozen=True)
class ExifFocal:
    """``focal_px`` in pixels of the picture as it is, None where it was ``cropped`` since and nobody knows from where.

    ``says`` is what the EXIF says, in words.
    """

    focal_px: float | None
    says: str

    @property
    def cropped(self) -> bool:
        return self.focal_px is None


def exif_focal(path: Path) -> ExifFocal | None:
    """What the EXIF of a JPEG, WebP or HEIC tells of its lens; None where it has none, or none that can be true."""
    tags, size = _tags(path)
    return focal_of_tags(tags, size) if size is not None else None


def exif_lens(path: Path) -> str | None:
    """A name for camera, lens and focal length as a picture's EXIF tells them; None where it tells too little."""
    return lens_of_tags(_tags(path)[0])


def lens_of_tags(tags: Mapping[int, object]) -> str | None:
    """As ``exif_lens``, by EXIF ``tags``: two pictures of one name and one size were taken with one focal length."""
    model, focal = str(tags.get(_MODEL, "")).strip("\0 "), _number(tags, _FOCAL) or _number(tags, _IN_35MM)
    if not model or focal is None:
        return None
    names = (str(tags.get(tag, "")).strip("\0 ")[:_NAMES] for tag in (_MAKE, _MODEL, _LENS_MODEL))
    return f"{' '.join(name for name in names if name)} at {focal:g} mm"


def _tags(path: Path) -> tuple[dict[int, object], tuple[int, int] | None]:
    """A picture's EXIF tags and its (width, height) as stored, pixels; none and None where it cannot be read."""
    try:
        header = read_header(path)
        with open_image(path, header.kind) as image:
            exif = image.getexif()
            return {**exif, **exif.get_ifd(_EXIF)}, header.stored
    except Exception:  # decoders raise many unrelated types; a damaged EXIF block is no reason to refuse a picture
        return {}, None


def focal_of_tags(tags: Mapping[int, object], size: tuple[int, int]) -> ExifFocal | None:
    """The focal length by EXIF ``tags`` of a picture of ``size`` (width, height) stored pixels.

    The 35 mm equivalent counts first, as that of the same diagonal; else the focal length by the sensor's pixels.
    """
    told = _size(tags) or size
    in_35mm, focal = _number(tags, _IN_35MM), _number(tags, _FOCAL)
    density = _number(tags, _DENSITY)
    unit = _MM_PER_UNIT.get(int(_number(tags, _DENSITY_UNIT) or 2), 25.4)
    if in_35mm is not None:
        says, focal_px = f"{in_35mm:g} mm in terms of 35 mm film", in_35mm * math.hypot(*told) / FULL_FRAME_DIAGONAL
    elif focal is not None and density is not None:
        says, focal_px = f"{focal:g} mm at {density / unit:.4g} pixels per mm", focal * density / unit
    else:
        return None
    if not _POSSIBLE[0] <= focal_px / max(told) <= _POSSIBLE[1]:
        return None
    (longer, shorter), (told_longer, told_shorter) = sorted(size, reverse=True), sorted(told, reverse=True)
    if abs(longer * told_shorter / (shorter * told_longer) - 1) > _PROPORTIONS:
        return ExifFocal(None, f"{says}, of a picture of {told[0]} × {told[1]} pixels")
    return ExifFocal(focal_px * longer / told_longer, says)


def _size(tags: Mapping[int, object]) -> tuple[int, int] | None:
    width, height = _number(tags, _WIDTH), _number(tags, _HEIGHT)
    return (round(width), round(height)) if width is not None and height is not None else None


def _number(tags: Mapping[int, object], tag: int) -> float | None:
    """A tag's value where it is a number above 0: EXIF writes 0, or a division by 0, for what a camera did not know."""
    try:
        value = float(tags[tag])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if 0 < value < math.inf else None
