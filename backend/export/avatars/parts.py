"""Which part of a face each pixel shows, in the numbers that INSTA's training reads, and how far away it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.export.avatars.frames import AvatarFrame
from backend.export.avatars.mesh import AvatarMesh
from backend.head_model.rasterise import Raster, rasterise

U8 = NDArray[np.uint8]

PARTS = {
    "skin": 250,
    "left_eye": 210,
    "right_eye": 200,
    "left_ear": 180,
    "right_ear": 170,
    "nose": 150,
    "mouth": 140,
    "upper_lip": 130,
    "lower_lip": 120,
    "neck": 110,
    "scalp": 80,
}
"""The red of ``seg_mask`` by the mesh's parts: as INSTA's patch of face-parsing.PyTorch colours them."""
CLOTH, HAIR = 90, 80
_RIM = 0.01  # metres above the lowest vertex: the rim at which the neck was cut
HALF = 128  # of alpha: from here on a pixel is the person's


def drawn(frame: AvatarFrame, mesh: AvatarMesh) -> Raster:
    """The mesh's surface behind each pixel's centre."""
    camera = frame.seen.copy()
    camera[:, :2] = (camera[:, :2] - frame.centre) * (camera[:, 2:] / frame.focal)
    return rasterise(camera, mesh.triangles, focal_px=frame.focal, principal_point=frame.centre, image_size=frame.size)


def depth_mm(frame: AvatarFrame, mesh: AvatarMesh, raster: Raster) -> NDArray[np.uint16]:
    """(H,W) millimetres along the camera's z axis to the mesh, 0 where there is none."""
    corners = frame.seen[:, 2][mesh.triangles[raster.triangle]]
    depth = 1000 * np.einsum("hwk,hwk->hw", raster.barycentric, corners)
    return np.where(raster.covered, np.clip(np.round(depth), 0, 65535), 0).astype(np.uint16)


def part_numbers(frame: AvatarFrame, mesh: AvatarMesh, raster: Raster) -> U8:
    """(H,W) numbers of ``PARTS``, ``HAIR`` or ``CLOTH``; 0 where nobody is.

    On the mesh a pixel is what its nearest corner is. Of the person beside it, what lies below the mesh's lower rim is
    cloth, and the rest hair: a line in the picture across the head's axis, at the rim's highest point.
    """
    numbers = np.zeros(len(mesh.vertices), np.uint8)
    for name, number in PARTS.items():
        numbers[mesh.parts[name]] = number
    corner = np.take_along_axis(
        mesh.triangles[raster.triangle], raster.barycentric.argmax(axis=-1)[..., None].astype(np.intp), axis=-1
    )[..., 0]
    beside = np.where(below_neck(frame), CLOTH, HAIR)
    labels = np.where(raster.covered, numbers[corner], beside)
    return np.where(frame.alpha >= HALF, labels, 0).astype(np.uint8)


def below_neck(frame: AvatarFrame) -> NDArray[np.bool_]:
    """(H,W) beyond where the mesh's lower end begins, along the direction in which the head's axis shows."""
    height = frame.vertices[:, 1]
    pixels = frame.seen[:, :2]
    end = pixels[height < height.min() + _RIM]
    down = end.mean(axis=0) - pixels.mean(axis=0)
    line = float((end @ down).min())
    width, rows = frame.size
    y, x = np.mgrid[0:rows, 0:width] + 0.5
    return np.asarray(x * down[0] + y * down[1] > line)
