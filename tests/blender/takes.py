"""Takes with known truth: a small analytic head that performs, and clips whose pixels tell frame and corner."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import JOINT_NAMES, HeadModel, posed_vertices
from protocol.take import CameraTrack, HeadGeometry, TakeResult

EXPRESSIONS = ("jawOpen", "browUp", "smile_L", "free")
PARTS = ("skin", "eyes")


def _sphere(centre: tuple[float, float, float], radius: float, rings: int, segments: int) -> tuple[NDArray, NDArray]:
    """A closed triangle sphere, counter-clockwise seen from outside."""
    polar = np.linspace(0, np.pi, rings + 2)[1:-1]
    around = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    grid = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(around),
            np.sin(polar)[:, None] * np.sin(around),
            np.repeat(np.cos(polar)[:, None], segments, 1),
        ],
        -1,
    ).reshape(-1, 3)
    points = np.concatenate([[[0, 0, 1.0]], grid, [[0, 0, -1.0]]]) * radius + np.asarray(centre)
    last = len(points) - 1
    faces = []
    for j in range(segments):
        k = (j + 1) % segments
        faces.append((0, 1 + j, 1 + k))
        faces.append((last, 1 + (rings - 1) * segments + k, 1 + (rings - 1) * segments + j))
        for i in range(rings - 1):
            a, b = 1 + i * segments, 1 + (i + 1) * segments
            faces += [(a + j, b + j, b + k), (a + j, b + k, a + k)]
    return points, np.asarray(faces)


def analytic_head() -> HeadModel:
    """A ball of 9 cm with two eyeballs whose skin follows the eyes a little, as lids do."""
    skin, skin_faces = _sphere((0, 0, 0), 0.09, 9, 14)
    left, eye_faces = _sphere((0.03, 0.02, 0.08), 0.013, 4, 8)
    right, _ = _sphere((-0.03, 0.02, 0.08), 0.013, 4, 8)
    vertices = np.concatenate([skin, left, right]).astype(np.float32)
    triangles = np.concatenate([skin_faces, eye_faces + len(skin), eye_faces + len(skin) + len(left)]).astype(np.int32)
    count, eye = len(vertices), len(left)
    weights = np.zeros((count, 5), np.float32)
    slices = {3: slice(len(skin), len(skin) + eye), 4: slice(len(skin) + eye, count)}
    regressor = np.zeros((5, count), np.float32)
    for joint, part in slices.items():
        weights[part, joint] = 1.0
        regressor[joint, part] = 1.0 / eye
    for joint in slices:
        # Disjoint: as on a real head, no vertex follows both eyes.
        near = np.linalg.norm(skin - regressor[joint] @ vertices, axis=1) < 0.03
        weights[: len(skin)][near, joint] = 0.2
    weights[: len(skin), 2] = np.where(skin[:, 1] < -0.03, 0.6, 0.0)
    weights[:, 0] = 1.0 - weights[:, 1:].sum(axis=1)
    bottom = np.argmin(skin[:, 1])
    regressor[0, bottom] = regressor[1, bottom] = 1.0
    regressor[2, : len(skin)] = 1.0 / len(skin)
    rng = np.random.default_rng(5)
    deltas = rng.normal(0, 0.004, (len(EXPRESSIONS), count, 3)).astype(np.float32)
    uv = (vertices[:, :2] / 0.2 + 0.5).astype(np.float32)
    return HeadModel(
        id="analytic",
        template=vertices,
        shape_basis=np.zeros((1, count, 3), np.float32),
        expression_basis=deltas,
        expression_names=EXPRESSIONS,
        expression_bounds=np.array([[0, 1]] * 3 + [[-np.inf, np.inf]], np.float32),
        triangles=triangles,
        uv=uv,
        uv_vertices=uv,
        uv_triangles=triangles,
        joint_regressor=regressor,
        skinning_weights=weights,
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        regions={},
        landmarks={},
        vertex_weight=np.ones(count, np.float32),
        licence="none",
    )


@dataclass(frozen=True)
class Shot:
    """The properties in which the test takes differ."""

    size: tuple[int, int] = (640, 360)
    focal: float = 900.0
    principal_point: tuple[float, float] | None = None  # the centre where None
    first_frame: int = 1
    frame_rate: float = 25.0
    frame_count: int = 12
    fractional: bool = False  # frames of a clip whose frame rate varies
    rotation: int = 0
    moving_camera: bool = False
    zoom: bool = False
    footage: str = "/nowhere/clip.mp4"
    kind: str = "video"
    name: str = "take"


def make_take(shot: Shot) -> TakeResult:
    """A performance of the analytic head: expressions, a turning and leaning head, wandering eyes."""
    model = analytic_head()
    t = np.linspace(0, 1, shot.frame_count)
    rng = np.random.default_rng(3)
    expression = rng.uniform(0, 1, (len(t), len(EXPRESSIONS))).astype(np.float32)
    expression[:, 3] = np.linspace(-4, 4, len(t))
    facing = np.array([np.pi, 0, 0])
    rotation = np.array([_compose(facing, (0.3 * np.sin(4 * a), -0.8 + 1.6 * a, 0.2 * a)) for a in t])
    distance = 0.55 * shot.focal / 900 * 640 / max(shot.size)
    translation = np.stack([0.02 * np.sin(5 * t), 0.01 * t, distance + 0.03 * t], 1)
    gaze = np.stack([np.stack([0.4 * np.sin(6 * t + s), 0.25 * np.cos(5 * t)], 1) for s in (0, 0.2)], 1)
    steps = np.arange(len(t), dtype=np.float64)
    if shot.fractional:
        steps += np.concatenate([[0], np.random.default_rng(8).uniform(-0.4, 0.4, len(t) - 1)])
    tracked = np.ones(len(t), bool)
    tracked[4:6] = False
    error = np.where(tracked, 0.8, np.nan).astype(np.float32)
    width, height = shot.size
    extrinsics = np.tile(np.eye(3, 4), (len(t), 1, 1))
    if shot.moving_camera:
        extrinsics[:, :, :3] = [_matrix((0.05 * a, 0.2 * a, 0.1 * a)) for a in t]
        extrinsics[:, :, 3] = np.stack([-0.1 * t, 0.02 * t, 0.05 * t], 1)
    focal = np.full(len(t), shot.focal) * (1 + 0.2 * t if shot.zoom else 1.0)
    view = CameraTrack(
        name="camera",
        footage=shot.footage,
        footage_kind=shot.kind,
        footage_first_frame=shot.first_frame,
        footage_frame_count=len(t),
        footage_rotation=shot.rotation,
        image_size=shot.size,
        focal_px=focal,
        principal_point=np.array(shot.principal_point or (width / 2, height / 2)),
        world_to_camera=extrinsics,
    )
    return TakeResult(
        name=shot.name,
        head=_geometry(model),
        cameras=(view,),
        scene_frames=shot.first_frame + steps,
        frame_rate=shot.frame_rate,
        expression=expression,
        head_rotation=rotation,
        head_translation=translation,
        gaze=gaze.astype(np.float32),
        tracked=tracked,
        reprojection_error_percent_iod=error,
    )


def _geometry(model: HeadModel) -> HeadGeometry:
    neutral = model.template
    eyes = model.skinning_weights[:, 3:].sum(axis=1) > 0.9
    return HeadGeometry(
        head_id=model.id,
        head_hash=model.hash,
        neutral=neutral,
        expression_names=model.expression_names,
        expression_deltas=model.expression_basis,
        expression_bounds=model.expression_bounds,
        triangles=model.triangles,
        uv_vertices=model.uv_vertices,
        uv_triangles=model.uv_triangles,
        joint_names=JOINT_NAMES,
        joint_parents=model.parents,
        joints=model.joints(neutral),
        skinning_weights=model.skinning_weights,
        part_names=PARTS,
        triangle_part=eyes[model.triangles[:, 0]].astype(np.int32),
    )


def _matrix(vector: tuple[float, float, float] | NDArray) -> NDArray:
    import cv2

    return cv2.Rodrigues(np.asarray(vector, np.float64))[0]


def _compose(base: NDArray, turn: tuple[float, float, float]) -> NDArray:
    import cv2

    return cv2.Rodrigues(_matrix(base) @ _matrix(turn))[0].ravel()


def project(take: TakeResult, frame: int, view: int = 0) -> NDArray:
    """The pixels (V,2) of the head's vertices in frame index ``frame``, as the take has them.

    From the head's own posing formula and a plain pinhole, with nothing of the add-on in it.
    """
    posed = posed_vertices(
        _model_of(take), take.head.neutral, take.expression[frame : frame + 1], take.gaze[frame : frame + 1]
    )[0]
    world = posed @ _matrix(take.head_rotation[frame]).T + take.head_translation[frame]
    camera = take.cameras[view]
    seen = world @ camera.world_to_camera[frame, :, :3].T + camera.world_to_camera[frame, :, 3]
    return camera.focal_px[frame] * seen[:, :2] / seen[:, 2:] + camera.principal_point


def _model_of(take: TakeResult) -> HeadModel:
    """The take's person as a HeadModel whose joints are those of the take."""
    head = take.head
    exact = np.linalg.lstsq(head.neutral.astype(np.float64).T, head.joints.astype(np.float64).T, rcond=None)[0].T
    return HeadModel(
        id=head.head_id,
        template=head.neutral,
        shape_basis=np.zeros((1, *head.neutral.shape), np.float32),
        expression_basis=head.expression_deltas,
        expression_names=head.expression_names,
        expression_bounds=head.expression_bounds,
        triangles=head.triangles,
        uv=head.neutral[:, :2],
        uv_vertices=head.uv_vertices,
        uv_triangles=head.uv_triangles,
        joint_regressor=exact.astype(np.float32),
        skinning_weights=head.skinning_weights,
        parents=head.joint_parents,
        regions={},
        landmarks={},
        vertex_weight=np.ones(len(head.neutral), np.float32),
        licence="none",
    )


def frame_picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Grey that tells the frame (20 + 10·index), red top left, green top right, blue bottom left."""
    picture = np.full((height, width, 3), 20 + 10 * index, np.uint8)
    picture[: height // 4, : width // 4] = (255, 0, 0)
    picture[: height // 4, -(width // 4) :] = (0, 255, 0)
    picture[-(height // 4) :, : width // 4] = (0, 0, 255)
    return picture


def write_clip(
    path: Path,
    width: int,
    height: int,
    count: int = 12,
    rate: int = 25,
    rotation: int = 0,
    aspect: Fraction = Fraction(1),
) -> Path:
    """A video that shows ``frame_picture`` in width × height once its rotation flag (clockwise) is obeyed.

    Stored as phones do it: turned the other way. ``aspect`` is that of the stored pixels, whose number stays.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8"})
        stream.width, stream.height = (height, width) if rotation % 180 else (width, height)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(count):
            stored = np.ascontiguousarray(np.rot90(frame_picture(index, width, height), rotation // 90))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if rotation:
        data = bytearray(path.read_bytes())
        header = data.find(b"tkhd")
        start = header + 4 + 4 + (32 if data[header + 4] else 20) + 16
        a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotation]
        x, y = {90: (width, 0), 180: (width, height), 270: (0, height)}[rotation]
        one = 1 << 16
        data[start : start + 36] = struct.pack(
            ">9i", a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 0x40000000
        )
        path.write_bytes(data)
    return path
