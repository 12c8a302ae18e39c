"""A posed head as binary glTF (Khronos, glTF 2.0 specification, chapters 3.6, 3.7 and 4.4).

The file's first V vertices are the head's, in its order; those that follow are the same places once more where a seam
of the atlas gives them another coordinate.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.export.meshes.posed import PosedHead
from backend.head_model.model import HeadModel

MAGIC, VERSION, JSON_CHUNK, BIN_CHUNK = b"glTF", 2, b"JSON", b"BIN\0"
FLOAT, UNSIGNED_INT = 5126, 5125  # component types
VERTICES, INDICES = 34962, 34963  # buffer view targets
TRIANGLES = 4
GREY = {
    "name": "head",
    "pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.8, 0.8, 1], "metallicFactor": 0, "roughnessFactor": 0.7},
}


def glb_writer(head: HeadModel) -> Callable[[PosedHead], bytes]:
    """What makes a file's bytes from each pose of a head: only places and normals differ between them."""
    owner, atlas, corners = split_by_atlas(head)
    uv = (head.uv_vertices[atlas] * [1, -1] + [0, 1]).astype("<f4")  # glTF's v points down
    fixed = {"uv": uv, "indices": corners.astype("<u4").reshape(-1)}

    def write(posed: PosedHead) -> bytes:
        vertices, normals = posed.vertices.astype("<f4")[owner], posed.normals.astype("<f4")[owner]
        return _file({"position": vertices, "normal": normals, **fixed})

    return write


def split_by_atlas(head: HeadModel) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The vertices (W) of a mesh in which each has one atlas coordinate: the head's vertex and atlas vertex of each.

    The third array is the triangles (F,3) in numbers of W. A vertex that no triangle has goes with atlas vertex 0.
    """
    pairs = np.stack([head.triangles.ravel(), head.uv_triangles.ravel()], axis=1).astype(np.int64)
    known, corner = np.unique(pairs, axis=0, return_inverse=True)
    first = np.r_[True, known[1:, 0] != known[:-1, 0]]
    number = np.empty(len(known), np.int64)
    number[first] = known[first, 0]
    number[~first] = head.vertex_count + np.arange(np.count_nonzero(~first))
    owner = np.r_[np.arange(head.vertex_count), known[~first, 0]]
    atlas = np.zeros(len(owner), np.int64)
    atlas[number] = known[:, 1]
    return owner, atlas, number[corner.reshape(-1)].reshape(-1, 3)


def _file(arrays: dict[str, NDArray[Any]]) -> bytes:
    offsets = np.cumsum([0, *(array.nbytes for array in arrays.values())]).tolist()
    binary = b"".join(array.tobytes() for array in arrays.values())
    text = json.dumps(_document(arrays, offsets), separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), JSON_CHUNK) + text + struct.pack("<I4s", len(binary), BIN_CHUNK) + binary
    return struct.pack("<4sII", MAGIC, VERSION, 12 + len(chunks)) + chunks


def _document(arrays: dict[str, NDArray[Any]], offsets: list[int]) -> dict[str, Any]:
    """The glTF of one mesh whose arrays are places, normals, atlas coordinates and corners, in this order."""
    accessors, views = [], []
    for number, (name, array) in enumerate(arrays.items()):
        corners = name == "indices"
        views.append(
            {
                "buffer": 0,
                "byteOffset": offsets[number],
                "byteLength": array.nbytes,
                "target": INDICES if corners else VERTICES,
            }
        )
        accessor = {
            "bufferView": number,
            "componentType": UNSIGNED_INT if corners else FLOAT,
            "count": len(array),
            "type": "SCALAR" if corners else f"VEC{array.shape[1]}",
        }
        if name == "position":  # the specification demands it of places alone
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        accessors.append(accessor)
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    primitive = {"attributes": attributes, "indices": 3, "material": 0, "mode": TRIANGLES}
    return {
        "asset": {"version": "2.0", "generator": "FlowFace"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "head"}],
        "meshes": [{"name": "head", "primitives": [primitive]}],
        "materials": [GREY],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }
