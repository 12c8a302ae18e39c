"""Frames on the wire: one msgpack header, then one raw binary part per array.

Nothing is ever unpickled, and no size that a peer claims is believed: a claimed shape is compared with the part that
really arrived before numpy sees it, so a lie costs its sender an error and its receiver nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from .codes import ProtocolCode as ProtocolCode
from .sentences import sayable

MAX_HEADER_BYTES = 1 << 20
MAX_PART_BYTES = 1 << 30
MAX_PARTS = 1024
MAX_DIMENSIONS = 8

DTYPES = {name: np.dtype(name) for name in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8")} | {
    name: np.dtype(name) for name in ("<f2", "<f4", "<f8")
}
"""Everything an array may consist of; little-endian on the wire."""

CUT_BYTES = 1 << 20
"""Bytes of the parts into which a large array may be cut.

A socket encrypts and writes part by part and serves its other peers in between: while one part of 300 MB was on its
way, these waited up to 3.5 s on two busy cores, with parts of 8 MB 86 ms, of 1 MB 40 ms.
"""

ARRAYS_KEY = "arrays"
"""Reserved in the header: [[name, dtype, shape], …], in the order of the parts; a fourth entry is a number of parts."""

Frame = bytes | bytearray | memoryview
Arrays = dict[str, NDArray[Any]]


class ProtocolError(Exception):
    """A message that cannot be understood; ``code`` is stable, ``message`` one sentence, ``hint`` what to do.

    ``request`` is the id of the message that was not understood, where that much could be read.
    """

    def __init__(self, code: ProtocolCode, message: str, hint: str = "", request: int | None = None) -> None:
        super().__init__(sayable(message))
        self.code = code
        self.message = sayable(message)
        self.hint = sayable(hint)
        self.request = request


def encode(
    header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None, *, cut: bool = False
) -> list[Frame]:
    """Frames of a message. Contiguous little-endian arrays are not copied: keep them unchanged until they are sent.

    With ``cut``, arrays travel in parts of about ``CUT_BYTES``, which peers from before that cannot read.

    Raises:
        ProtocolError: ``bad_header`` or ``bad_array`` where the message could not be read back, ``too_large``.
    """
    arrays = arrays or {}
    if ARRAYS_KEY in header:
        raise ProtocolError(ProtocolCode.BAD_HEADER, f"The header field “{ARRAYS_KEY}” is reserved.")
    if len(arrays) > MAX_PARTS:
        raise ProtocolError(
            ProtocolCode.TOO_LARGE, f"A message may have {MAX_PARTS} arrays, this one has {len(arrays)}."
        )
    table: list[list[Any]] = []
    parts: list[Frame] = []
    total = sum(array.nbytes for array in arrays.values())
    size = max(CUT_BYTES, -(-total // max(1, MAX_PARTS - len(arrays)))) if cut else MAX_PART_BYTES
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<")
        if dtype.str not in DTYPES or array.ndim > MAX_DIMENSIONS:
            raise ProtocolError(
                ProtocolCode.BAD_ARRAY, f"Array “{name}” ({array.dtype}, {array.ndim}-dimensional) may not travel."
            )
        if array.nbytes > MAX_PART_BYTES:
            raise ProtocolError(
                ProtocolCode.TOO_LARGE, f"Array “{name}” has {array.nbytes} bytes; {MAX_PART_BYTES} are allowed."
            )
        table.append([name, dtype.str, list(array.shape)])
        flat = np.ascontiguousarray(array, dtype=dtype).reshape(-1)
        data: Frame = flat.view(np.uint8).data if flat.size else b""
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [data]
        if len(pieces) > 1:
            table[-1].append(len(pieces))
        parts += pieces
    try:
        head: bytes = msgpack.packb({**header, ARRAYS_KEY: table}, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(
            ProtocolCode.BAD_HEADER, f"The header holds something msgpack cannot carry: {error}."
        ) from error
    if len(head) > MAX_HEADER_BYTES:
        raise ProtocolError(
            ProtocolCode.TOO_LARGE, f"The header has {len(head)} bytes; {MAX_HEADER_BYTES} are allowed."
        )
    return [head, *parts]


def decode(frames: Sequence[Frame]) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of a message; the arrays are read-only views of the frames, or copies where those are cut.

    Raises:
        ProtocolError: ``bad_header``, ``bad_array`` or ``too_large``; no other exception, whatever the bytes.
    """
    if not frames:
        raise ProtocolError(ProtocolCode.BAD_HEADER, "The message is empty.")
    if len(frames) - 1 > MAX_PARTS:
        raise ProtocolError(
            ProtocolCode.TOO_LARGE, f"A message may have {MAX_PARTS} parts, this one has {len(frames) - 1}."
        )
    header = _decode_header(frames[0])
    table = header.pop(ARRAYS_KEY, [])
    request = request_of(header)
    counts = [_parts_of(entry) for entry in table] if isinstance(table, list) else [0]
    if min(counts, default=1) < 1 or sum(counts) != len(frames) - 1:
        raise ProtocolError(
            ProtocolCode.BAD_ARRAY, "The header does not list the parts that came with it.", request=request
        )
    arrays: Arrays = {}
    place = 1
    for entry, count in zip(table, counts, strict=True):
        pieces, place = frames[place : place + count], place + count
        name, array = _decode_array(entry, pieces, request)
        if name in arrays:
            raise ProtocolError(ProtocolCode.BAD_ARRAY, f"Array “{name}” came twice.", request=request)
        arrays[name] = array
    return header, arrays


def join(frames: Sequence[Frame]) -> bytes:
    """The frames of a message as one piece, for a file: each after its length in eight bytes, little-endian."""
    return b"".join(memoryview(frame).nbytes.to_bytes(8, "little") + bytes(frame) for frame in frames)


def split(data: bytes) -> list[Frame]:
    """The frames that ``join`` put together; raises ProtocolError (``bad_header``) where they are not whole."""
    frames: list[Frame] = []
    place, view = 0, memoryview(data)
    while place < len(data):
        start, size = place + 8, int.from_bytes(view[place : place + 8], "little")
        place = start + size
        frames.append(view[start:place])
    if place != len(data):
        raise ProtocolError(ProtocolCode.BAD_HEADER, "The message in this file is not whole.")
    return frames


def request_of(header: Mapping[str, Any]) -> int | None:
    """The request id of a header, None where it has none that could be answered."""
    request = header.get("request")
    usable = isinstance(request, int) and not isinstance(request, bool) and 0 <= request < 1 << 63
    return request if usable else None


def _refuse_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code} ({len(data)} bytes)")


def _decode_header(frame: Frame) -> dict[str, Any]:
    size = memoryview(frame).nbytes
    if size > MAX_HEADER_BYTES:
        raise ProtocolError(ProtocolCode.TOO_LARGE, f"The header has {size} bytes; {MAX_HEADER_BYTES} are allowed.")
    try:
        # max_ext_len=0 also keeps out msgpack's own timestamps, which never reach the hook.
        header = msgpack.unpackb(frame, raw=False, strict_map_key=True, ext_hook=_refuse_extension, max_ext_len=0)
    except Exception as error:  # msgpack raises six unrelated types on bad bytes
        raise ProtocolError(ProtocolCode.BAD_HEADER, f"The header is not msgpack: {type(error).__name__}.") from error
    if not isinstance(header, dict) or not all(isinstance(key, str) for key in header):
        raise ProtocolError(ProtocolCode.BAD_HEADER, "The header is not a map with text keys.")
    return header


def _parts_of(entry: Any) -> int:
    """How many parts the array of an entry has; 0 where that makes no sense."""
    match entry:
        case [_, _, _, bool()]:
            return 0
        case [_, _, _, int() as count]:
            return count
    return 1


def _decode_array(entry: Any, pieces: Sequence[Frame], request: int | None) -> tuple[str, NDArray[Any]]:
    match entry:
        case [str() as name, str() as code, list() as shape, *_] if code in DTYPES:
            dtype = DTYPES[code]
        case _:
            raise ProtocolError(
                ProtocolCode.BAD_ARRAY, "An array has no name, an unknown type or no shape.", request=request
            )
    natural = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)
    if len(shape) > MAX_DIMENSIONS or not natural:
        raise ProtocolError(ProtocolCode.BAD_ARRAY, f"Array “{name}” has an impossible shape.", request=request)
    claimed, bound = dtype.itemsize, dtype.itemsize
    for n in shape:
        claimed, bound = claimed * n, bound * max(n, 1)  # the bound also catches (0, huge), which claims nothing
    if bound > MAX_PART_BYTES:
        raise ProtocolError(
            ProtocolCode.TOO_LARGE, f"Array “{name}” is larger than {MAX_PART_BYTES} bytes.", request=request
        )
    came = sum(memoryview(piece).nbytes for piece in pieces)
    if claimed != came:
        sentence = f"Array “{name}” claims {claimed} bytes and came with {came}."
        raise ProtocolError(ProtocolCode.BAD_ARRAY, sentence, request=request)
    if claimed == 0:
        return name, np.empty(shape, dtype)
    several = [np.frombuffer(piece, np.uint8) for piece in pieces if memoryview(piece).nbytes]
    raw = several[0] if len(several) == 1 else np.concatenate(several)
    if code == "|b1" and raw.max() > 1:  # numpy trusts a bool to be 0 or 1
        raise ProtocolError(ProtocolCode.BAD_ARRAY, f"Array “{name}” holds more than true and false.", request=request)
    array = raw.view(dtype).reshape(shape)
    array.flags.writeable = False
    return name, array
