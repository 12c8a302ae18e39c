"""One picture from one file: every kind of still through one door, upright, as 8-bit sRGB.

Pillow decodes, with pillow-heif for HEIC; what it does not know (floating-point colour, film) OpenCV and FFmpeg do.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from backend.errors import ErrorCode, UserError
from backend.footage.apng import may_be_turned
from backend.footage.film import FILM_KINDS, film_header, read_film
from backend.footage.kinds import MAX_FILE_BYTES, FileKind, kind_of, open_file, read_file
from backend.footage.orientation import UPRIGHT, Orientation, displayed, from_exif
from backend.footage.tiff import read_pages
from backend.footage.types import check_size
from backend.footage.webp import read_webp

_MAX_PACKED_BYTES = 512 << 20  # of a JPEG or HEIC: those pack 150 million pixels into less, and are searched whole
_MAX_SCANS = 100  # of a progressive JPEG: each goes over the whole picture, and real ones have about ten
_MAX_SEGMENTS = 4096  # before the picture; real ones have a dozen, and a few hundred where they carry a large profile
_FILLING = re.compile(rb"\xff+")
_NO_SEGMENT = (b"\xda", b"\xd9", b"")  # the picture, the end
_EXIF_ORIENTATION = 0x0112
_FORMATS = {
    FileKind.PNG: ("PNG",),
    FileKind.JPEG: ("JPEG", "MPO"),
    FileKind.WEBP: ("WEBP",),
    FileKind.TIFF: ("TIFF",),
    FileKind.GIF: ("GIF",),
    FileKind.BMP: ("BMP", "DIB"),
    FileKind.JPEG2000: ("JPEG2000",),
    FileKind.HEIF: ("HEIF",),
    FileKind.AVIF: ("AVIF",),
    FileKind.TGA: ("TGA",),
    FileKind.PNM: ("PPM",),
    FileKind.SGI: ("SGI",),
    FileKind.PCX: ("PCX",),
    FileKind.PSD: ("PSD",),
    FileKind.QOI: ("QOI",),
}
STILL_KINDS = frozenset(_FORMATS) | FILM_KINDS

# Sizes are held against MAX_PIXELS before anything is decoded; Pillow's own warning comes far below that.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class StillHeader(NamedTuple):
    """Facts about a picture that is not decoded. ``stored`` is (width, height) in pixels before ``orientation``."""

    kind: FileKind
    stored: tuple[int, int]
    orientation: Orientation = UPRIGHT
    mode: str = ""
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as displayed."""
        return self.stored[::-1] if self.orientation.sideways else self.stored


def read_header(path: Path) -> StillHeader:
    """What an image file says of its picture, of several its first.

    Raises UserError as ``read_image`` does.
    """
    kind = still_kind(path)
    try:
        header = _header(path, kind)
    except UserError:
        raise
    except Exception as error:  # decoders raise many unrelated types on bad bytes
        raise unreadable(path, error) from error
    check_size(*header.stored, path)
    return header


def read_image(path: Path) -> NDArray[np.uint8]:
    """One image file as (H,W,3) uint8 RGB, as displayed: EXIF's eight orientations are followed.

    16-bit values are scaled to 8; linear light (EXR, HDR, PFM) and film densities get the sRGB curve; grey becomes
    three equal channels; CMYK and wide-gamut colours are brought to sRGB where a profile says how. Alpha is left out:
    colours are those stored under it. Of a file with several pictures it is the first.

    Raises UserError: ``image_unreadable``, ``footage_too_large``, ``footage_missing``, ``footage_empty``,
    ``footage_unreadable``.
    """
    header = read_header(path)
    try:
        if header.kind in FILM_KINDS:
            return np.ascontiguousarray(read_film(path, header.kind, film_header(path, header.kind)))
        return _decoded(path, header)
    except UserError:
        raise
    except Exception as error:  # decoders raise many unrelated types on bad bytes
        raise unreadable(path, error) from error


def still_kind(path: Path) -> FileKind:
    """The kind of an image file. Raises UserError for what is none, and for one too large to be a picture."""
    kind = kind_of(path)
    if kind not in STILL_KINDS:
        raise not_an_image(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE,
            f"{path} has {path.stat().st_size / 1e9:.1f} GB; images of up to {MAX_FILE_BYTES / 1e9:.1f} GB are read.",
            "Export it smaller first.",
        )
    return kind


def not_an_image(path: Path) -> UserError:
    return UserError(
        ErrorCode.IMAGE_UNREADABLE,
        f"{path} holds no picture of a kind that is read here, whatever its name says.",
        "Export it as PNG, JPEG, TIFF or EXR; camera raw pictures have to be developed first.",
    )


def unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, Image.DecompressionBombError):
        return UserError(
            ErrorCode.FOOTAGE_TOO_LARGE, f"{path} claims more pixels than are read.", "Scale it down first."
        )
    return UserError(
        ErrorCode.IMAGE_UNREADABLE,
        f"The image {path} cannot be read.",
        "It may be damaged, half written, or of a variety that is not read; export it again.",
    )


@contextmanager
def open_image(path: Path, kind: FileKind) -> Iterator[Image.Image]:
    """A file opened by Pillow as what it is. Raises what Pillow raises, and UserError as ``open_file`` does."""
    if kind is FileKind.HEIF:
        _know_heif()
    with open_file(path) as file, Image.open(file, formats=_FORMATS[kind]) as image:
        yield image


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """A decoded picture (H,W,3) in 8 bits, not turned. Raises what Pillow raises."""
    mode = image.mode
    if mode == "F":
        return _three(_unit(np.asarray(image, np.float32)))
    if mode.startswith("I"):
        values = np.asarray(image)
        # Pillow has 16 bits of grey as 32: only where values are larger did a file have 32 bits.
        top = 65535.0 if mode != "I" or values.size == 0 or int(values.max()) <= 65535 else float(2**32 - 1)
        return _three(_unit(values.astype(np.float32) / np.float32(top)))
    profile = image.info.get("icc_profile")
    if mode in ("RGB", "RGBA", "CMYK") and isinstance(profile, bytes):
        managed = _in_srgb(image, profile)
        if managed is not None:
            return managed
    return np.array(image if mode == "RGB" else image.convert("RGB"), np.uint8)


def _header(path: Path, kind: FileKind) -> StillHeader:
    if kind in FILM_KINDS:
        film = film_header(path, kind)
        return StillHeader(kind, (film.width, film.height), mode=kind.value, note=film.note)
    if kind is FileKind.TIFF:
        page = next(iter(read_pages(path, 1)))
        if page.is_raw or (page.is_preview and len(read_pages(path, 2)) == 1):
            raise not_an_image(path)
        return StillHeader(kind, (page.width, page.height), from_exif(page.orientation), "tiff")
    if kind is FileKind.WEBP:
        # Pillow allocates a WebP's canvas as it opens it.
        webp = read_webp(path, 1)
        check_size(webp.width, webp.height, path)
    if kind is FileKind.JPEG:
        _require_few_segments(path)
    turned = kind is not FileKind.PNG or may_be_turned(path)
    with open_image(path, kind) as image:
        check_size(*image.size, path)
        # PNG may name its orientation behind the picture, and Pillow decodes that to see.
        return StillHeader(kind, image.size, _orientation(image, path) if turned else UPRIGHT, image.mode)


def _require_few_segments(path: Path) -> None:
    """Refuse a JPEG that a decoder would be long at: for its scans, or for the segments before them."""
    data = read_file(path, _MAX_PACKED_BYTES)
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE, f"{path} goes over its picture again and again.", "Export it anew."
        )
    if not _few_segments(data):
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE,
            f"{path} has more segments before its picture than are read.",
            "Export it anew.",
        )


def _few_segments(data: bytes) -> bool:
    """True where a JPEG's picture, or what is none of a JPEG, comes after at most ``_MAX_SEGMENTS``."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        filling = _FILLING.match(data, at)
        if filling is None:
            return True
        marker = filling.end()
        if marker - at > _MAX_SEGMENTS:
            return False
        if data[marker : marker + 1] in _NO_SEGMENT:
            return True
        at = marker + 1 + int.from_bytes(data[marker + 1 : marker + 3], "big")
    return False


def _orientation(image: Image.Image, path: Path) -> Orientation:
    """The orientation that is still to be followed: Pillow has done so with a TIFF once it is loaded.

    libheif turns HEIC by its own boxes, beside which EXIF does not count (ISO 23008-12); some tools write EXIF alone.
    """
    try:
        if image.format == "HEIF":
            data = read_file(path, _MAX_PACKED_BYTES)
            return UPRIGHT if b"irot" in data or b"imir" in data else from_exif(image.info.get("original_orientation"))
        return from_exif(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse a picture
        return UPRIGHT


def _decoded(path: Path, header: StillHeader) -> NDArray[np.uint8]:
    try:
        with open_image(path, header.kind) as image:
            image.load()
            picture = displayed(to_rgb(image), _orientation(image, path))
    except UnidentifiedImageError:
        if header.kind is not FileKind.TIFF:
            raise
        return _deep_tiff(path, header)
    if picture.shape[:2] != header.size[::-1]:
        raise ValueError("a picture of another size than its header says")
    return picture


def _deep_tiff(path: Path, header: StillHeader) -> NDArray[np.uint8]:
    """TIFF that Pillow knows no mode for: floating-point colour, mostly."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    # OpenCV's own file access knows no non-ASCII names on Windows.
    image = cv2.imdecode(np.frombuffer(read_file(path, MAX_FILE_BYTES), np.uint8), flags)
    if image is None or image.shape[:2] != header.stored[::-1]:
        raise ValueError("no picture, or one of another size")
    image = image[..., ::-1]
    if image.dtype == np.uint8:
        return displayed(image.astype(np.uint8), header.orientation)
    scale = 65535.0 if image.dtype == np.uint16 else 1.0
    return displayed(_unit(image.astype(np.float32) / np.float32(scale)), header.orientation)


def _unit(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(np.nan_to_num(values), 0, 1) * 255 + 0.5).astype(np.uint8)


def _three(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=-1)


@cache
def _know_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _in_srgb(image: Image.Image, profile: bytes) -> NDArray[np.uint8] | None:
    """The picture by its colour profile; None where that is sRGB's own or none that can be followed."""
    try:
        transform = _transform(profile, image.mode.removesuffix("A"))
        plain = image.convert("RGB") if image.mode == "RGBA" else image
        return None if transform is None else np.array(ImageCms.applyTransform(plain, transform), np.uint8)
    except Exception:  # a damaged profile is no reason to refuse a picture
        return None


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> Any:
    """How LittleCMS brings a profile's colours to sRGB; None where they are there."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
        return None
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
