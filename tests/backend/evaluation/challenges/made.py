"""Tiny data in the challenges' layouts: pictures of a rendered head, and meshes whose distances are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

KEYPOINTS = np.array(
    [[-45, 30, 0], [-15, 30, 0], [15, 30, 0], [45, 30, 0], [0, -10, 0], [-25, -40, 0], [25, -40, 0]], np.float64
)
"""Seven key points of a flat face, millimetres, x to the subject's left, y up, z to the front."""


def write_obj(path: Path, vertices: NDArray[Any], triangles: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [f"f {a + 1}/1 {b + 1}/1 {c + 1}/1" for a, b, c in triangles]
    path.write_text("\n".join(lines) + "\n")


def write_pp(path: Path, points: NDArray[Any]) -> None:
    """As MeshLab writes picked points."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = ["<!DOCTYPE PickedPoints>", "<PickedPoints>", " <DocumentData>", '  <DateTime time="12:00:00" date="x"/>']
    head += ['  <User name="u"/>', '  <DataFileName name="scan.obj"/>', '  <templateName name=""/>', " </DocumentData>"]
    picked = [
        f' <point active="1" name="{i}" z="{z:.6f}" y="{y:.6f}" x="{x:.6f}"/>' for i, (x, y, z) in enumerate(points)
    ]
    path.write_text("\n".join([*head, *picked, "</PickedPoints>"]) + "\n")


def plate(side: float, cells: int) -> tuple[F64, NDArray[np.int32]]:
    """A square in the plane z = 0 with its middle at 0 that faces +z: vertices (V,3) and triangles."""
    line = np.linspace(-side / 2, side / 2, cells + 1)
    x, y = np.meshgrid(line, line)
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1)
    a, b, c, d = first, first + 1, first + cells + 1, first + cells + 2
    triangles = np.stack([a, b, c, b, d, c], axis=1).reshape(-1, 3)
    return np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1), triangles.astype(np.int32)


def prism(corners: int, low: float, high: float, height: float) -> tuple[F64, NDArray[np.int32]]:
    """Upright walls about the y axis, ``corners`` of them, ``low`` and ``high`` the radii of the corners at −height and
    height; they face outwards."""
    angle = np.arange(corners) * 2 * np.pi / corners
    ring = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    vertices = np.concatenate([ring * low - [0, height, 0], ring * high + [0, height, 0]])
    i = np.arange(corners)
    j = (i + 1) % corners
    triangles = np.stack([i, j, i + corners, j, j + corners, i + corners], axis=1).reshape(-1, 3)
    return vertices, triangles.astype(np.int32)


def write_subject(
    folder: Path,
    segment: str,
    vertices: Sequence[NDArray[Any]],
    triangles: NDArray[Any],
    poses: Sequence[NDArray[Any]],
    cameras: dict[str, tuple[NDArray[Any], NDArray[Any]]],
    pictures: dict[str, Sequence[Path]] | None = None,
    first: int = 102,
) -> list[str]:
    """A Multiface subject of one segment, millimetres, frames in steps of three; without ``pictures``, empty ones."""
    frames = [f"{first + 3 * i:06d}" for i in range(len(vertices))]
    meshes = folder / "tracked_mesh" / segment
    meshes.mkdir(parents=True)
    write_obj(meshes / f"{frames[0]}.obj", vertices[0], triangles)
    for frame, mesh, pose in zip(frames, vertices, poses, strict=True):
        mesh.astype("<f4").tofile(meshes / f"{frame}.bin")
        np.savetxt(meshes / f"{frame}_transform.txt", pose)
    for name in cameras:
        place = folder / "images" / segment / name
        place.mkdir(parents=True)
        for i, frame in enumerate(frames):
            data = pictures[name][i].read_bytes() if pictures and name in pictures else b""
            (place / f"{frame}.png").write_bytes(data)
    blocks = []
    for name, (intrinsic, extrinsic) in cameras.items():
        rows = [*intrinsic, np.zeros(5), *extrinsic]
        blocks.append("\n".join([name, *(" ".join(f"{v:.9g}" for v in row) for row in rows), ""]))
    (folder / "KRT").write_text("\n".join(blocks) + "\n")
    return frames


def write_lab(
    folder: Path, name: str, vertices: F64, triangles: NDArray[Any], intrinsic: F64, turn: F64, centre: F64
) -> None:
    """A picture's true head, camera space in millimetres, in the layout of FaceScape's laboratory set."""
    pupils = 62.85
    write_obj(folder / "data" / "lab_gt_mesh" / f"{name[:2]}.obj", (vertices - centre) @ turn / pupils, triangles)
    extrinsic = np.concatenate([turn, centre[:, None] / pupils], axis=1)
    place = folder / "data" / "lab_cam"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.json").write_text(json.dumps([intrinsic.tolist(), extrinsic.tolist()]))
    predefined = folder / "code" / "predef"
    predefined.mkdir(parents=True, exist_ok=True)
    np.save(predefined / "lab_head_centers.npy", np.tile(centre, (3, 1)))
    np.save(predefined / "lab_rotations.npy", np.tile(turn, (11, 1, 1)))


def write_wild(folder: Path, vertices: F64, triangles: NDArray[Any], turn: F64, centre: F64, scale: float) -> None:
    """The first picture's true head where an orthographic camera sees it, in the layout of FaceScape's wild set."""
    write_obj(folder / "data" / "wild_gt_mesh" / "000.obj", vertices, triangles)
    predefined = folder / "code" / "predef"
    predefined.mkdir(parents=True, exist_ok=True)
    np.save(predefined / "wild_head_centers.npy", np.tile(centre, (400, 1)))
    np.save(predefined / "wild_rotations.npy", np.tile(turn, (400, 1, 1)))
    np.save(predefined / "wild_pupil_scales.npy", np.full(400, scale))
