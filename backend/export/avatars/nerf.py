"""A take for NeRFs and Gaussian splats: pictures, masks and cameras about a head that holds still.

The layout is nerfstudio's (its "Data conventions"), which instant-ngp and many others read:

- ``images/00000_00.png``: RGB without lens distortion; the first number is the frame, the second the camera.
- ``masks/00000_00.png``: grey, white where the person is.
- ``transforms.json``: ``camera_model`` OPENCV with distortion coefficients 0, and by frame ``fl_x``, ``fl_y``, ``cx``,
  ``cy`` (pixels, the first pixel's centre at (0.5, 0.5)), ``w``, ``h``, ``file_path``, ``mask_path`` and
  ``transform_matrix``: camera to world with OpenGL's camera axes (x right, y up, z backward). World is head space.
- ``transforms_world.json``: the same pictures with cameras in the track's own world, where the head moves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend.export.avatars.cameras import OPENGL_AXES, camera_to_head, world_to_camera
from backend.export.avatars.frames import avatar_frames, write_json, write_png
from backend.export.avatars.mesh import AvatarMesh, obj
from backend.export.takes import ExportTake
from backend.progress import OnProgress, ShouldCancel

README = """What FlowFace tracked, as nerfstudio, instant-ngp and others read it.

transforms.json: world is head space (metres, +x the subject's left, +y up, +z out of the face): the head holds still
and cameras move about it. transforms_world.json: world is the track's (the first camera's, or the calibration's;
OpenCV's axes), in which the head moves. transform_matrix is camera to world with OpenGL's camera axes (x right, y up,
z backward). Pixel centres are at .5. Pictures are without lens distortion. masks: the person (MediaPipe's selfie
segmentation).
head.obj: the person at rest, in the head space of transforms.json.
"""


def write_nerf(take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write a take's pictures and cameras as NeRFs read them.

    Raises:
        UserError: ``no_frames``, and what reading the footage again raises.
        Cancelled: ``should_cancel`` said so.
    """
    mesh, track = AvatarMesh.of(take), take.track
    for name in ("images", "masks"):
        (folder / name).mkdir()
    (folder / "README.txt").write_text(README, encoding="utf-8")
    (folder / "head.obj").write_bytes(obj(mesh.neutral[mesh.vertices], mesh.triangles))
    fixed: list[dict[str, Any]] = []
    world: list[dict[str, Any]] = []
    for frame in avatar_frames(mesh, range(len(track.cameras)), on_progress, should_cancel):
        name = f"{frame.step:05d}_{frame.view:02d}.png"
        write_png(folder / "images" / name, frame.image)
        write_png(folder / "masks" / name, frame.alpha)
        entry = {
            "file_path": f"images/{name}",
            "mask_path": f"masks/{name}",
            **frame.intrinsics,
            "timestep_index": frame.step,
            "timestep_id": str(int(track.frames[frame.frame])),
            "camera_index": frame.view,
            "camera_id": track.cameras[frame.view].name,
        }
        pose = camera_to_head(track, frame.view, frame.frame, opengl=True)
        fixed.append(entry | {"transform_matrix": pose.tolist()})
        still = np.linalg.inv(world_to_camera(track, frame.view, frame.frame)) @ OPENGL_AXES
        world.append(entry | {"transform_matrix": still.tolist()})
    model = {"camera_model": "OPENCV", "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}
    write_json(folder / "transforms.json", model | {"frames": fixed})
    write_json(folder / "transforms_world.json", model | {"frames": world})
