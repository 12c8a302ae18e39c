"""The truth of a rendered sequence, on disk in a few megabytes: a person, what they did, and the camera that saw it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, FaceMotion, camera_vertices
from backend.evaluation.benchmark.regions import cheek_mask, lip_mask, region_masks
from backend.evaluation.types import REGIONS, MeshSequence
from backend.files import read_npz, write_npz

MAX_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class Truth:
    """Everything known of a rendered sequence of T frames.

    ``mesh`` in camera space with regions, neutral and landmarks; ``motion`` how it came about (``head_rotation
    (T,3,3)`` and ``head_translation (T,3)`` take head space to camera space); ``expression_names`` name the
    coefficients; ``lips (V,)`` marks the lips' vertices, for the lip vertex error.
    """

    mesh: MeshSequence
    motion: FaceMotion
    expression_names: tuple[str, ...]
    lips: NDArray[np.bool_]

    @property
    def head_rotation(self) -> NDArray[np.float64]:
        return self.motion.rotation

    @property
    def head_translation(self) -> NDArray[np.float64]:
        return self.motion.translation

    @property
    def expression(self) -> NDArray[np.float32]:
        return self.motion.expression


def save_truth(
    path: Path,
    ict: BenchmarkHead,
    neutral: NDArray[np.float32],
    motion: FaceMotion,
    *,
    focal_px: float,
    side: int,
    frame_rate: float,
) -> None:
    """Write what ``load_truth_full`` reads, atomically."""
    masks = region_masks(ict)
    active = motion.expression.any(axis=0)
    write_npz(
        path,
        {
            "neutral": neutral,
            # Back in the archive's centimetres these are its own float16 numbers, so nothing is lost.
            "basis_cm": (ict.expression_basis[active] * 100).astype(np.float16),
            "active": active,
            "expression_name_bytes": np.frombuffer("\n".join(ict.expression_names).encode(), np.uint8),
            **{item.name: getattr(motion, item.name) for item in fields(motion)},
            "follows_head": ict.follows_head,
            "triangles": ict.triangles,
            "eyes": np.stack([ict.groups[name] for name in EYES]),
            "lips": lip_mask(ict),
            "landmark_triangle": ict.landmarks68.triangle,
            "landmark_barycentric": ict.landmarks68.barycentric,
            "camera": np.array([focal_px, side, frame_rate], np.float64),
            **{f"region_{name}": masks[name] for name in REGIONS},
        },
    )


def load_truth(path: Path) -> MeshSequence:
    """The true meshes of a rendered sequence; raises UserError ``file_missing`` or ``bad_file``."""
    return load_truth_full(path).mesh


def load_truth_full(path: Path) -> Truth:
    """Everything known of a rendered sequence; raises UserError ``file_missing`` or ``bad_file``."""
    arrays = read_npz(path, "benchmark truth", MAX_BYTES)
    try:
        names = tuple(arrays["expression_name_bytes"].tobytes().decode().split("\n"))
        motion = FaceMotion(**{item.name: arrays[item.name] for item in fields(FaceMotion)})
        basis = np.zeros((len(names), *arrays["neutral"].shape), np.float32)
        basis[arrays["active"]] = arrays["basis_cm"].astype(np.float32) * np.float32(0.01)
        left, right = arrays["eyes"]
        focal_px, side, frame_rate = arrays["camera"].tolist()
        frames = len(motion.expression)
        regions = {name: arrays[f"region_{name}"] for name in REGIONS}
        points = arrays["landmark_triangle"], arrays["landmark_barycentric"]
        marks = np.einsum("nk,nkc->nc", points[1], arrays["neutral"][arrays["triangles"][points[0]]])
        regions["cheeks"] = cheek_mask(arrays["neutral"], marks, regions)
        mesh = MeshSequence(
            vertices=camera_vertices(arrays["neutral"], basis, (left, right), arrays["follows_head"], motion),
            triangles=arrays["triangles"],
            focal_px=np.full(frames, focal_px),
            principal_point=np.full(2, side / 2),
            image_size=(int(side), int(side)),
            frame_rate=frame_rate,
            tracked=np.ones(frames, bool),
            regions=regions,
            neutral=arrays["neutral"],
            landmarks68=points,
        )
        return Truth(mesh, motion, names, arrays["lips"])
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(
            ErrorCode.BAD_FILE, f"{path} is not a benchmark's truth: {error}.", "Delete it; it is made anew."
        ) from error
