"""A take's cameras as nerfstudio's transforms.json, without pictures.

``transform_matrix`` is camera to world with OpenGL's axes (x right, y up, z back), and the world has z up, as
nerfstudio's data conventions say (docs.nerf.studio, Data conventions). Its rays go through (column + 0.5, row + 0.5),
so that cx and cy are a track's.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from backend.export.cameras.pictures import camera_to_world, pictures_of
from backend.track.types import Track

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""World with z up = Z_UP · the take's world: Blender's, too, but for the height of the eyes."""
OPENGL = np.diag([1.0, -1.0, -1.0])
"""OpenGL's camera = OPENGL · OpenCV's."""


def camera_transforms(track: Track) -> bytes:
    """The file's bytes: a frame for each picture, whose ``file_path`` is ``images/<camera>/<frame>.png``.

    Each has its own focal length; ``frame`` and ``time`` (seconds) are ours, and other readers pass over them.
    """
    frames = []
    moves = [camera_to_world(camera) for camera in track.cameras]
    for picture in pictures_of(track):
        camera, (turns, places) = track.cameras[picture.view], moves[picture.view]
        matrix = np.eye(4)
        matrix[:3, :3] = Z_UP @ turns[picture.index] @ OPENGL
        matrix[:3, 3] = Z_UP @ places[picture.index]
        frames.append(
            {
                "file_path": f"images/{picture.name}",
                **_lens(float(camera.focal_px[picture.index]), camera.principal_point, camera.image_size),
                "frame": int(track.frames[picture.index]),
                "time": float(track.times[picture.index]),
                "transform_matrix": (np.round(matrix, 9) + 0.0).tolist(),
            }
        )
    document = {"camera_model": "OPENCV", "frames": frames}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def _lens(focal: float, principal_point: Any, image_size: tuple[int, int]) -> dict[str, Any]:
    cx, cy = (float(value) for value in principal_point)
    return {"fl_x": focal, "fl_y": focal, "cx": cx, "cy": cy, "w": image_size[0], "h": image_size[1]}
