"""Arrays out of binary glTF files that the test writes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import UserError
from backend.evaluation.meaning.glb import read_glb


def written(path: Path, told: dict[str, Any], buffer: bytes) -> Path:
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 4)
    buffer += b"\0" * (-len(buffer) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(buffer), b"BIN\0") + buffer
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def test_strides_offsets_and_normalised_integers(tmp_path: Path) -> None:
    mixed = np.zeros(2, [("position", "<f4", 3), ("turn", "<i2", 2)])
    mixed["position"], mixed["turn"] = [(1, 2, 3), (4, 5, 6)], [(32767, -32768), (0, -32767)]
    told = {
        "bufferViews": [{"buffer": 0, "byteOffset": 4, "byteStride": 16}],
        "accessors": [
            {"bufferView": 0, "type": "VEC3", "componentType": 5126, "count": 2},
            {"bufferView": 0, "byteOffset": 12, "type": "VEC2", "componentType": 5122, "count": 2, "normalized": True},
            {"bufferView": 0, "type": "VEC3", "componentType": 5126, "count": 3},
        ],
    }
    glb = read_glb(written(tmp_path / "a.glb", told, b"\0\0\0\0" + mixed.tobytes()))
    assert glb.array(0).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert glb.array(1).tolist() == [[1, -1], [0, -1]]
    with pytest.raises(ValueError, match="beyond the buffer"):
        glb.array(2)


@pytest.mark.parametrize("content", [b"", b"glTF", b"PK\3\4" + bytes(40), struct.pack("<4sII", b"glTF", 2, 12)])
def test_what_is_no_binary_gltf_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.glb"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"b\.glb"):
        read_glb(path)
    with pytest.raises(UserError, match="no glTF file"):
        read_glb(tmp_path / "absent.glb")
