"""What INSTA (Zielonka, Bolkart, Thies: Instant Volumetric Head Avatars, CVPR 2023) trains a head avatar from.

The layout is that of its scripts (``scripts/generate.sh``: transforms.py, face parsing, postprocess.py), whose input is
metrical-tracker's output, and which INSTA and INSTA-pytorch read:

- ``images/00000.png``: RGBA, straight alpha; black and transparent beside the person, and on clothes: below the neck.
- ``seg_mask/00000.png``: RGB, the part's number in red (``parts.PARTS``).
- ``depth/00000.png``: 16-bit grey, millimetres along the camera's z axis to the mesh, 0 for none
  (``integer_depth_scale`` 0.001).
- ``meshes/00000.obj`` and ``canonical.obj``: metres, in head space; all of one topology.
- ``flame/exp/00000.txt``: one number a line, of which INSTA-pytorch reads the first 16 and INSTA ``exp_params``.
- ``transforms_{train,val,test}.json`` and all in ``transforms.json``: ``fl_x``, ``fl_y``, ``cx``, ``cy``, ``w``, ``h``
  in pixels, and by frame ``transform_matrix``: camera to head space with OpenCV's camera axes (x right, y down,
  z forward), unlike NeRF's; both readers take it as it is. Its pixels' centres are at .5, as in the track. The last
  ``TEST`` frames, at most a fifth, are for testing, the last ``VALIDATION`` of those for validation.
- ``mesh_masks/*.obj``: the canonical mesh, red where a mask is and black elsewhere. INSTA reads those of its own
  folder, which are of FLAME's mesh without most of the eyes: these replace them.

A take of several cameras is a folder for each, as INSTA knows one camera.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.errors import ErrorCode, UserError
from backend.export.avatars.cameras import camera_to_head
from backend.export.avatars.codes import expression_codes
from backend.export.avatars.frames import AvatarFrame, avatar_frames, frames_of, write_json, write_png
from backend.export.avatars.mesh import AvatarMesh, obj
from backend.export.avatars.parts import below_neck, depth_mm, drawn, part_numbers
from backend.export.takes import ExportTake
from backend.files import file_name
from backend.progress import OnProgress, ShouldCancel

TEST, VALIDATION = 350, 20
_SHARED = ("fl_x", "fl_y", "cx", "cy", "w", "h", "camera_angle_x", "camera_angle_y")
_BOUNDARY = 0.015  # metres from the neck's cut
README = """What FlowFace tracked, as INSTA (https://github.com/Zielon/INSTA) and INSTA-pytorch read it.

World is head space (metres, +x the subject's left, +y up, +z out of the face): the head holds still, cameras move about
it. transform_matrix is camera to world with OpenCV's camera axes (x right, y down, z forward), as these readers expect;
in NeRF's own convention y and z would be turned round. Pixel centres are at .5. Pictures are without lens distortion.
images: alpha is the person (MediaPipe's selfie segmentation) without clothes. seg_mask: parts as the mesh has them, and
beside it hair, and cloth below the neck; brows, glasses and hats are not told apart. flame/exp: {codes}
For INSTA copy mesh_masks over the folder of that name where INSTA is run (for INSTA-pytorch, over insta/mesh_masks):
they are of this head's mesh. Set "exp_params" in its configuration to at most {count}.
"""


def write_insta(take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write a take for INSTA.

    Raises:
        UserError: ``no_frames``, ``bad_export`` where fewer than two frames show the face, and what reading the footage
            again raises.
        Cancelled: ``should_cancel`` said so.
    """
    if len(frames_of(take.track)) < 2:
        sentence = "Only one frame of this take shows the face; INSTA trains on one part of a take, tests on the rest."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Export a clip.")
    mesh = AvatarMesh.of(take)
    cameras = take.track.cameras
    names = {view: folder / f"{view:02d}_{file_name(cameras[view].name)}" for view in range(len(cameras))}
    own = names if len(cameras) > 1 else {0: folder}
    codes, about = expression_codes(take)
    entries: dict[int, list[dict[str, Any]]] = {view: [] for view in own}
    for frame in avatar_frames(mesh, tuple(own), on_progress, should_cancel):
        if not entries[frame.view]:
            _begin(own[frame.view], mesh, README.format(codes=about, count=codes.shape[1]))
        entries[frame.view].append(_write_frame(own[frame.view], frame, mesh, codes[frame.frame]))
    for view, written in entries.items():
        if written:
            _write_transforms(own[view], written)


def _begin(folder: Path, mesh: AvatarMesh, readme: str) -> None:
    for name in ("images", "seg_mask", "depth", "meshes", "flame/exp", "mesh_masks"):
        (folder / name).mkdir(parents=True)
    canonical = mesh.canonical()
    (folder / "canonical.obj").write_bytes(obj(canonical, mesh.triangles))
    for name, mask in masks(mesh).items():
        colors = np.zeros((len(mask), 3))
        colors[mask, 0] = 1.0
        (folder / "mesh_masks" / f"{name}.obj").write_bytes(obj(canonical, mesh.triangles, colors))
    (folder / "README.txt").write_text(readme, encoding="utf-8")


def masks(mesh: AvatarMesh) -> dict[str, NDArray[np.bool_]]:
    """Which of the mesh's vertices are in each of INSTA's masks."""
    parts, regions, place = mesh.parts, mesh.take.head.regions, mesh.take.head.template[mesh.vertices]
    eyes = regions.get("lids", regions["eyes"])[mesh.vertices] | parts["left_eye"] | parts["right_eye"]
    return {
        "lips": parts["upper_lip"] | parts["lower_lip"],
        "face": regions["face"][mesh.vertices],
        "boundary": _cut(mesh, place),
        "left_ear": parts["left_ear"],
        "right_ear": parts["right_ear"],
        "eye_region": eyes,
    }


def _cut(mesh: AvatarMesh, place: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Vertices near the open edge at which the neck was cut: the lowest of edges that only one triangle has."""
    edges = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    single, count = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(single[count == 1])
    rim = rim[mesh.parts["neck"][rim]]
    if not len(rim):
        return np.zeros(len(place), bool)
    distance, _ = cKDTree(place[rim]).query(place)
    return np.asarray((distance < _BOUNDARY) & (mesh.parts["neck"]))


def _write_frame(
    folder: Path, frame: AvatarFrame, mesh: AvatarMesh, codes: NDArray[np.floating[Any]]
) -> dict[str, Any]:
    name = f"{frame.step:05d}"
    raster = drawn(frame, mesh)
    parts = part_numbers(frame, mesh, raster)
    alpha = np.where(below_neck(frame) & ~raster.covered, 0, frame.alpha).astype(np.uint8)
    image = np.where(alpha[..., None] > 0, frame.image, 0).astype(np.uint8)
    paths = {
        "file_path": f"images/{name}.png",
        "seg_mask_path": f"seg_mask/{name}.png",
        "depth_path": f"depth/{name}.png",
        "mesh_path": f"meshes/{name}.obj",
        "exp_path": f"flame/exp/{name}.txt",
    }
    write_png(folder / paths["file_path"], np.dstack([image, alpha]))
    write_png(folder / paths["seg_mask_path"], np.dstack([parts, np.zeros_like(parts), np.zeros_like(parts)]))
    write_png(folder / paths["depth_path"], depth_mm(frame, mesh, raster))
    (folder / paths["mesh_path"]).write_bytes(obj(frame.vertices, mesh.triangles))
    (folder / paths["exp_path"]).write_text("".join(f"{value:.8f}\n" for value in codes), encoding="ascii")
    matrix = camera_to_head(mesh.take.track, frame.view, frame.frame, opengl=False)
    return {"transform_matrix": matrix.tolist(), **paths, **frame.intrinsics}


def _write_transforms(folder: Path, frames: list[dict[str, Any]]) -> None:
    shared = {name: float(frames[0][name]) for name in _SHARED} | {"integer_depth_scale": 0.001}
    if all(frame[name] == frames[0][name] for frame in frames for name in _SHARED):
        frames = [{name: value for name, value in frame.items() if name not in _SHARED} for frame in frames]
    test = min(TEST, max(1, len(frames) // 5))
    parts = {
        "": frames,
        "_train": frames[:-test],
        "_val": frames[-min(VALIDATION, test) :],
        "_test": frames[-test:],
    }
    for name, some in parts.items():
        write_json(folder / f"transforms{name}.json", shared | {"frames": some})
