"""OBJ, PLY and GLB as their specifications have them, read without anything of FlowFace's."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Int = NDArray[np.int64]


class Mesh(NamedTuple):
    """Places and normals by vertex; faces (N,C) of each number of corners C, and the texture coordinates (N,C,2) there.

    Texture coordinates have v upwards.
    """

    vertices: F64
    normals: F64
    faces: list[Int]
    uv: list[F64]


def read_obj(path: Path) -> Mesh:
    """Whose corners have the same number for place and normal."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line]
    rows = {word: _table(text for first, text in lines if first == word) for word in ("v", "vn", "vt")}
    faces = [text for word, text in lines if word == "f"]
    made = []
    for count in (3, 4):
        some = [text.replace("/", " ") for text in faces if text.count(" ") == count - 1]
        if some:
            corners = _table(some).astype(int).reshape(-1, count, 3) - 1
            assert (corners[..., 0] == corners[..., 2]).all()
            made.append((corners[..., 0], rows["vt"][corners[..., 1]]))
    return Mesh(rows["v"], rows["vn"], [one for one, _ in made], [one for _, one in made])


def _table(lines: Iterable[str]) -> F64:
    return np.array([line.split() for line in lines], dtype=np.float64)


def read_ply(path: Path) -> Mesh:
    """Binary, with the properties of a vertex in the order of the header and a list of corners for each face."""
    head, _, data = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    counts = {line.split()[1]: int(line.split()[2]) for line in lines if line.startswith("element")}
    names = [line.split()[2] for line in lines if line.startswith("property float")]
    assert lines[-1] == "property list uchar int vertex_indices"
    table = np.frombuffer(data, np.dtype([(name, "<f4") for name in names]), counts["vertex"])
    faces: dict[int, list[tuple[int, ...]]] = {}
    place = table.nbytes
    for _ in range(counts["face"]):
        faces.setdefault(data[place], []).append(struct.unpack_from(f"<{data[place]}i", data, place + 1))
        place += 1 + 4 * data[place]
    assert place == len(data)
    groups = (("x", "y", "z"), ("nx", "ny", "nz"), ("s", "t"))
    places, normals, uv = (np.stack([table[name] for name in group], axis=1).astype(float) for group in groups)
    corners = [np.array(some) for some in faces.values()]
    return Mesh(places, normals, corners, [uv[some] for some in corners])


def read_glb(path: Path) -> Mesh:
    """One mesh of one primitive in the only node, which does not move it."""
    data = path.read_bytes()
    magic, version, length, json_length, kind = struct.unpack_from("<4sII I4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON") and json_length % 4 == 0
    document = json.loads(data[20 : 20 + json_length])
    binary_length, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"BIN\0" and binary_length == document["buffers"][0]["byteLength"]
    binary = data[28 + json_length :]
    (node,), (mesh,) = document["nodes"], document["meshes"]
    assert set(node) == {"mesh", "name"}
    (primitive,) = mesh["primitives"]

    def array(number: int) -> NDArray[Any]:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
        kind = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
        assert view["byteOffset"] % 4 == 0 and view["byteLength"] == accessor["count"] * width * 4
        found = np.frombuffer(binary, kind, accessor["count"] * width, view["byteOffset"]).reshape(-1, width)
        if "min" in accessor:
            assert found.min(axis=0).tolist() == accessor["min"] and found.max(axis=0).tolist() == accessor["max"]
        return found

    places, normals, uv = (array(primitive["attributes"][name]) for name in ("POSITION", "NORMAL", "TEXCOORD_0"))
    faces = array(primitive["indices"]).reshape(-1, 3).astype(int)
    return Mesh(places.astype(float), normals.astype(float), [faces], [(uv * [1, -1] + [0, 1])[faces]])
