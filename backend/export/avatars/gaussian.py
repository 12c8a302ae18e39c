"""What GaussianAvatars (Qian et al., CVPR 2024) trains from: the layout that its tracker VHAP writes.

For takes of FLAME heads, as it poses FLAME by parameters. As VHAP's ``export_as_nerf_dataset`` has it:

- ``images/00000_00.png``: RGB, what is not the person white; timestep and camera in the name.
- ``fg_masks/00000_00.png``: grey, the person.
- ``flame_param/00000.npz``: ``shape (300,)``, ``expr (1,100)``, ``rotation``, ``neck_pose``, ``jaw_pose``,
  ``translation (1,3)``, ``eyes_pose (1,6)``, ``static_offset (1,5023,3)``; and ``canonical_flame_param.npz``, the same
  at rest with the jaw turned by 0.3 rad.
- ``transforms.json`` and of it ``transforms_{train,val,test}.json``: by frame ``timestep_index`` (from 0 without gaps),
  ``timestep_index_original`` (the take's), ``timestep_id`` (the footage's number), ``camera_index``, ``camera_id``,
  ``fl_x`` … ``camera_angle_y``, paths, and ``transform_matrix``: camera to world with OpenGL's camera axes (x right,
  y up, z backward). World has y up, and the mean of FLAME's translations at 0. The first 70 % of timesteps are for
  training, in which the last of several cameras is kept for validation; the rest is for testing.

GaussianAvatars takes the principal point for the picture's middle: pictures are widened until it is there, white beyond
the footage. Pixel centres are at .5, as in the track.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.export.avatars.cameras import OPENGL_AXES, world_to_camera
from backend.export.avatars.flame import WORLD, FlameParameters, flame_parameters, require_flame
from backend.export.avatars.frames import avatar_frames, frames_of, write_json, write_png
from backend.export.avatars.mesh import AvatarMesh
from backend.export.takes import ExportTake
from backend.progress import OnProgress, ShouldCancel

TRAINING = 0.7
JAW_AT_REST = 0.3  # radians: VHAP opens the mouth in the canonical space
README = """What FlowFace tracked, as GaussianAvatars and VHAP read it.

World has y up and the head moves in it, by FLAME's rotation and translation; transform_matrix is camera to world with
OpenGL's camera axes (x right, y up, z backward). Pixel centres are at .5. Pictures are without lens distortion, with
the principal point in their middle, and white where the person (MediaPipe's selfie segmentation) is not.
The parameters are of {head}: give GaussianAvatars that very FLAME file.
They pose FLAME within {apart:.2f} mm of the head as it was tracked: the greatest distance of a vertex in any frame.
"""


def write_gaussian_avatars(
    take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
) -> None:
    """Write a take of a FLAME head for GaussianAvatars.

    Raises:
        UserError: ``other_head`` where the head is not FLAME, ``no_frames``, and what reading the footage again raises.
        Cancelled: ``should_cancel`` said so.
    """
    require_flame(take.head)
    track = take.track
    frames = frames_of(track)
    flame = flame_parameters(take, frames)
    for name in ("images", "fg_masks", "flame_param"):
        (folder / name).mkdir()
    source = take.head.provenance.get("file", take.head.id)
    (folder / "README.txt").write_text(README.format(head=source, apart=1000 * flame.apart), encoding="utf-8")
    for step in range(len(frames)):
        (folder / "flame_param" / f"{step:05d}.npz").write_bytes(_npz(_arrays(flame, step)))
    (folder / "canonical_flame_param.npz").write_bytes(_npz(_at_rest(flame)))
    entries: list[dict[str, Any]] = []
    mesh = AvatarMesh.of(take)
    for frame in avatar_frames(mesh, range(len(track.cameras)), on_progress, should_cancel, centred=True):
        name = f"{frame.step:05d}_{frame.view:02d}.png"
        share = frame.alpha[..., None] / np.float32(255)
        write_png(folder / "images" / name, np.round(frame.image * share + 255 * (1 - share)).astype(np.uint8))
        write_png(folder / "fg_masks" / name, frame.alpha)
        entries.append(
            {
                "timestep_index": frame.step,
                "timestep_index_original": frame.frame,
                "timestep_id": str(int(track.frames[frame.frame])),
                "camera_index": frame.view,
                "camera_id": track.cameras[frame.view].name,
                **frame.intrinsics,
                "transform_matrix": _camera_to_world(take, frame.view, frame.frame, flame.moved).tolist(),
                "file_path": f"images/{name}",
                "fg_mask_path": f"fg_masks/{name}",
                "flame_param_path": f"flame_param/{frame.step:05d}.npz",
            }
        )
    _write_transforms(folder, entries, len(frames), len(track.cameras))


def _camera_to_world(take: ExportTake, view: int, frame: int, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = WORLD, moved
    return np.asarray(world @ np.linalg.inv(world_to_camera(take.track, view, frame)) @ OPENGL_AXES)


def _arrays(flame: FlameParameters, step: int) -> dict[str, NDArray[Any]]:
    rows: dict[str, NDArray[Any]] = {
        "translation": flame.translation,
        "rotation": flame.rotation,
        "neck_pose": flame.neck,
        "jaw_pose": flame.jaw,
        "eyes_pose": flame.eyes,
        "expr": flame.expression,
    }
    arrays = {name: values[[step]].astype(np.float32) for name, values in rows.items()}
    return arrays | {"shape": flame.shape, "static_offset": flame.static_offset[None]}


def _at_rest(flame: FlameParameters) -> dict[str, NDArray[Any]]:
    zero = {name: np.zeros_like(values) for name, values in _arrays(flame, 0).items()}
    jaw = np.array([[JAW_AT_REST, 0.0, 0.0]], np.float32)
    return zero | {"jaw_pose": jaw, "shape": flame.shape, "static_offset": flame.static_offset[None]}


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _write_transforms(folder: Path, entries: list[dict[str, Any]], steps: int, cameras: int) -> None:
    shared = {
        name: entries[-1][name] for name in ("cx", "cy", "fl_x", "fl_y", "h", "w", "camera_angle_x", "camera_angle_y")
    }
    training = int(np.ceil(TRAINING * steps))
    every, kept = list(range(cameras)), [cameras - 1] if cameras > 1 else []
    parts: dict[str, tuple[range, list[int]]] = {
        "": (range(steps), every),
        "_train": (range(training), [camera for camera in every if camera not in kept]),
        "_val": (range(training), kept),
        "_test": (range(training, steps), every),
    }
    for name, (timesteps, views) in parts.items():
        some = [e for e in entries if e["timestep_index"] in timesteps and e["camera_index"] in views]
        content = shared | {"timestep_indices": list(timesteps), "camera_indices": views, "frames": some}
        write_json(folder / f"transforms{name}.json", content)
