"""Arrays out of a binary glTF file (Khronos, glTF 2.0 specification, chapters 3.6 and 4): one buffer, none sparse."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.reading import parse_json, read_bounded

MAX_BYTES = 1 << 28
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
_WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TYPE = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


@dataclass(frozen=True, eq=False)
class Glb:
    """A binary glTF file: its JSON, and the bytes of its buffer."""

    told: dict[str, Any]
    buffer: bytes

    def array(self, accessor: int) -> NDArray[np.float64]:
        """An accessor (N,C) as numbers, normalised integers in −1…1; raises ValueError for one outside the buffer."""
        about = self.told["accessors"][accessor]
        view = self.told["bufferViews"][about["bufferView"]]
        kind = np.dtype(_TYPE[about["componentType"]])
        count, width = int(about["count"]), _WIDTH[about["type"]]
        stride = int(view.get("byteStride", width * kind.itemsize))
        start = int(view.get("byteOffset", 0)) + int(about.get("byteOffset", 0))
        if count < 1 or stride < width * kind.itemsize or start < 0:
            raise ValueError(f"accessor {accessor} is malformed")
        if start + (count - 1) * stride + width * kind.itemsize > len(self.buffer):
            raise ValueError(f"accessor {accessor} reaches beyond the buffer")
        raw: NDArray[np.generic] = np.ndarray((count, width), kind, self.buffer, start, (stride, kind.itemsize))
        values = raw.astype(np.float64)
        if about.get("normalized"):
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        return values


def read_glb(path: Path) -> Glb:
    """Read a file. Raises UserError ``file_missing`` or ``bad_file``."""
    content = read_bounded(path, "glTF", MAX_BYTES)
    try:
        magic, version, _ = _HEADER.unpack_from(content, 0)
        if magic != b"glTF" or version != 2:
            raise ValueError("it is no binary glTF 2.0 file")
        chunks, at = {}, _HEADER.size
        while at < len(content):
            length, kind = _CHUNK.unpack_from(content, at)
            at += _CHUNK.size
            chunks[kind] = content[at : at + length]
            at += length
        told = parse_json(chunks[b"JSON"])
        if not isinstance(told, dict):
            raise ValueError("its JSON is no object")
        return Glb(told, chunks[b"BIN\0"])
    except (ValueError, KeyError, struct.error) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{path} cannot be read as binary glTF: {error}.") from error
