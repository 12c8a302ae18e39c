"""What a file is, by what it begins with: the name's ending decides only where the content says nothing."""

from __future__ import annotations

import stat
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from backend.errors import ErrorCode, UserError
from backend.reading import FileFault, fault_of, is_text, open_ordinary, read_ordinary, shown

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf", ".heic", ".heif", ".hif", ".avif", ".exr", ".dpx", ".hdr"}
    | {".rgbe", ".pic", ".tga", ".targa", ".icb", ".vda", ".vst", ".pnm", ".ppm", ".pgm", ".pbm", ".pfm", ".sgi"}
    | {".rgb", ".rgba", ".bw", ".pcx", ".psd", ".qoi"}
)
"""Endings of the names of images that are read."""

MAX_FILE_BYTES = 2 << 30
"""Of an image: 150 million pixels of four 32-bit channels, hardly packed, have as many."""

_OTHER_PICTURES = frozenset(
    {".cin", ".jxl", ".svg", ".svgz", ".ico", ".cur", ".dds", ".xcf", ".kra", ".ora", ".psb", ".jxr", ".wdp", ".hdp"}
    | {".pdf", ".eps", ".ai", ".xbm", ".xpm", ".ras", ".pict", ".fits", ".fit", ".iff", ".jls", ".pam"}
    | {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw"}
    | {".heics", ".avifs", ".heifs", ".avcs", ".bpg", ".wbmp", ".tx", ".sxr", ".flif", ".x3f", ".erf", ".3fr", ".raw"}
)
"""Endings of names of pictures that are not read: never handed to a decoder of videos, either."""


class FileKind(StrEnum):
    """What a file holds. The words stand in sentences and in ``FootageInfo.codec``."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"
    GIF = "gif"
    BMP = "bmp"
    JPEG2000 = "jp2"
    HEIF = "heif"
    AVIF = "avif"
    EXR = "exr"
    DPX = "dpx"
    HDR = "hdr"
    PFM = "pfm"
    TGA = "tga"
    PNM = "pnm"
    SGI = "sgi"
    PCX = "pcx"
    PSD = "psd"
    QOI = "qoi"
    IMAGE_TRACK = "image track"  # HEIF or AVIF with a track of pictures, which is a video's
    UNREAD_PICTURE = "a picture of a kind that is not read"
    OTHER = "other"  # a video, or nothing that is known here


_STARTS = (
    (b"\x89PNG\r\n\x1a\n", FileKind.PNG),
    (b"\xff\xd8\xff", FileKind.JPEG),
    (b"GIF87a", FileKind.GIF),
    (b"GIF89a", FileKind.GIF),
    (b"II*\0", FileKind.TIFF),
    (b"MM\0*", FileKind.TIFF),
    (b"II+\0", FileKind.TIFF),
    (b"MM\0+", FileKind.TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", FileKind.JPEG2000),
    (b"\xff\x4f\xff\x51", FileKind.JPEG2000),
    (b"\x76\x2f\x31\x01", FileKind.EXR),
    (b"SDPX", FileKind.DPX),
    (b"XPDS", FileKind.DPX),
    (b"#?RADIANCE", FileKind.HDR),
    (b"#?RGBE", FileKind.HDR),
    (b"PF\n", FileKind.PFM),
    (b"Pf\n", FileKind.PFM),
    (b"\x01\xda\x00", FileKind.SGI),
    (b"\x01\xda\x01", FileKind.SGI),
    (b"8BPS\0\x01", FileKind.PSD),
    (b"\x80\x2a\x5f\xd7", FileKind.UNREAD_PICTURE),  # Cineon
    (b"\xd7\x5f\x2a\x80", FileKind.UNREAD_PICTURE),
    (b"\xff\x0a", FileKind.UNREAD_PICTURE),  # JPEG XL
    (b"\0\0\0\x0cJXL \r\n\x87\n", FileKind.UNREAD_PICTURE),
    (b"IIU\0", FileKind.UNREAD_PICTURE),  # camera raw of Panasonic, Olympus and Fujifilm
    (b"IIRO", FileKind.UNREAD_PICTURE),
    (b"FUJIFILMCCD-RAW", FileKind.UNREAD_PICTURE),
    (b"qoif", FileKind.QOI),
    (b"%PDF", FileKind.UNREAD_PICTURE),
)
_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"mif3"})
_TRACK_BRANDS = frozenset({b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis"})
_MOTION_JPEG = frozenset({".mjpeg", ".mjpg", ".mjp"})
_BY_NAME = {".pcx": FileKind.PCX} | dict.fromkeys((".tga", ".targa", ".icb", ".vda", ".vst"), FileKind.TGA)
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


def kind_of(path: Path) -> FileKind:
    """What a regular file holds, by its first bytes.

    Raises:
        UserError: ``footage_missing``, ``footage_empty``; ``footage_unreadable`` for what is no regular file (a pipe, a
            device, a socket, which are not even opened) or may not be read.
    """
    if not is_text(path):  # it could be opened, but neither written into a track nor sent
        raise _refused(path, FileFault("its name is not text in UTF-8: give it another"))
    with open_file(path) as file:
        try:
            head = file.read(64)
            file.seek(max(0, file.seek(0, 2) - len(_TGA_FOOTER)))
            tail = file.read(len(_TGA_FOOTER))
        except OSError as error:
            raise _refused(path, fault_of(error)) from error
    if not head:
        raise _empty(path)
    kind = _by_content(head)
    suffix = path.suffix.lower()
    if kind is FileKind.JPEG and suffix in _MOTION_JPEG:
        return FileKind.OTHER  # pictures one after the other, which begin as the first one does
    if kind is not FileKind.OTHER:
        return kind
    if tail == _TGA_FOOTER:
        return FileKind.TGA
    if _is_container(head):
        return FileKind.OTHER
    if suffix in _OTHER_PICTURES or suffix in IMAGE_SUFFIXES:
        return _BY_NAME.get(suffix, FileKind.UNREAD_PICTURE)
    return FileKind.OTHER


def require_file(path: Path) -> None:
    """Raise UserError where a path is nothing that can be read without waiting for somebody to write it."""
    try:
        about = path.stat()
    except (OSError, ValueError) as error:
        raise _refused(path, fault_of(error)) from error
    if not stat.S_ISREG(about.st_mode):
        raise _refused(path, FileFault("it is not an ordinary file, but a pipe, a device or a folder"))
    if about.st_size == 0:
        raise _empty(path)


def open_file(path: Path) -> BinaryIO:
    """A file of footage opened; raises UserError as ``kind_of`` does."""
    try:
        return open_ordinary(path)
    except FileFault as fault:
        raise _refused(path, fault) from fault


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file of footage; raises UserError as ``kind_of`` does, and ``footage_too_large``."""
    try:
        return read_ordinary(path, max_bytes)
    except FileFault as fault:
        raise _refused(path, fault) from fault


def _refused(path: Path, fault: FileFault) -> UserError:
    if fault.missing:
        return UserError(ErrorCode.FOOTAGE_MISSING, f"There is no file {shown(path)}.", "Check the path.")
    if fault.too_large:
        return UserError(ErrorCode.FOOTAGE_TOO_LARGE, f"{path} cannot be read: {fault.reason}.", "Export it smaller.")
    hint = "Give a video file, an image, or a folder of numbered images."
    if "permission" in fault.reason:
        hint = "Check its permissions."
    return UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{shown(path)} cannot be read: {fault.reason}.", hint)


def _empty(path: Path) -> UserError:
    return UserError(ErrorCode.FOOTAGE_EMPTY, f"{path} is empty (0 bytes).", "Copy or export it again.")


def _by_content(head: bytes) -> FileKind:
    for start, kind in _STARTS:
        if head.startswith(start):
            return FileKind.UNREAD_PICTURE if kind is FileKind.TIFF and head[8:10] == b"CR" else kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileKind.WEBP
    if head[:2] == b"BM" and head[14:18] in {bytes((size, 0, 0, 0)) for size in (12, 16, 40, 52, 56, 64, 108, 124)}:
        return FileKind.BMP
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return FileKind.PNM
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    return FileKind.OTHER


def _by_brand(head: bytes) -> FileKind:
    """ISO base media: a picture or a film, by the brands of the file type box."""
    end = min(len(head), int.from_bytes(head[:4], "big"))
    major, others = head[8:12], {head[at : at + 4] for at in range(16, end - 3, 4)}
    if major in _TRACK_BRANDS:
        return FileKind.IMAGE_TRACK
    if major == b"avif" or (major in _STILL_BRANDS and b"avif" in others):
        return FileKind.AVIF
    if major in _STILL_BRANDS:
        return FileKind.HEIF
    return FileKind.UNREAD_PICTURE if major == b"crx " else FileKind.OTHER  # Canon's raw pictures


def _is_container(head: bytes) -> bool:
    """True for what begins as films alone do, whatever the name."""
    riff = head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX")
    ebml = head[:4] == b"\x1a\x45\xdf\xa3"
    return riff or ebml or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or head[:4] in (b"OggS", b"FLV\x01")
