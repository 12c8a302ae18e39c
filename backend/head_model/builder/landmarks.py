"""The MediaPipe-478 and iBUG-68 embeddings: where on the head each landmark lies.

MediaPipe looks at renders of many identities from several views; each of its points is lifted onto the surface it hits
(inner lips from open mouths, where the two lips can be told apart), carried to the template, averaged, made symmetric
and moved onto the part of the surface it belongs to. Irises are defined, not lifted. What MediaPipe does differently on
photographs of people is then put right by ``mediapipe_calibration.npz``, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from backend.head_model import render
from backend.head_model.appearance import Palette, paint_texture
from backend.head_model.builder import eyes
from backend.head_model.model import HeadModel, SurfacePoints, posed_vertices, surface_positions
from backend.head_model.surface import closest_surface_points

CALIBRATION = Path(__file__).with_name("mediapipe_calibration.npz")
SEED = 478
SIZE = 512
IDENTITIES = 14
REACH_PX = 14
"""How far from a landmark's pixel a pixel of its own part of the surface is still taken for it."""

UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
UPPER_LIP = (*UPPER_INNER, 185, 40, 39, 37, 0, 267, 269, 270, 409, 184, 74, 73, 72, 11, 302, 303, 304, 408,
             183, 42, 41, 38, 12, 268, 271, 272, 407)  # fmt: skip
LOWER_LIP = (*LOWER_INNER, 146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307,
             96, 89, 179, 86, 15, 316, 403, 319, 325)  # fmt: skip
MOUTH_CORNERS = (78, 308, 62, 292, 76, 306, 61, 291)
RIGHT_IRIS, LEFT_IRIS = (468, 469, 470, 471, 472), (473, 474, 475, 476, 477)
"""Each iris's centre, then its border towards the subject's left, up, towards the subject's right, down."""

IBUG68_FROM_MEDIAPIPE = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 81, 13, 311, 308, 402, 14, 178,  # inner lips
)  # fmt: skip


SKINS = (Palette(), Palette(skin=(0.87, 0.70, 0.60)), Palette(skin=(0.52, 0.36, 0.28), scalp=(0.40, 0.28, 0.22)))


@dataclass(frozen=True, eq=False)
class Shot:
    """One render: the head's vertices, its camera (world to camera), its skin and whether the mouth is open."""

    vertices: NDArray[np.float32]
    camera: NDArray[np.float64]
    skin: int  # of SKINS
    mouth_open: bool


FOCAL_PX, DISTANCE = 1150.0, 0.75
CENTRE = (SIZE / 2, SIZE / 2)


def embed_landmarks(head: HeadModel, mirror: NDArray[np.int64]) -> HeadModel:
    """The head with the landmark sets ``mediapipe478`` and ``ibug68``; ``mirror (V,)`` maps left to right."""
    domains = landmark_domains(head)
    lifted, pairs = _lift(head, domains)
    symmetric = (lifted + lifted[pairs] * np.array([-1.0, 1.0, 1.0])) / 2
    points = closest_surface_points(symmetric, head.template, head.triangles, domains)
    if CALIBRATION.is_file():
        with np.load(CALIBRATION, allow_pickle=False) as data:
            moved = data["displacement"].astype(np.float64)
        moved = (moved + moved[pairs] * np.array([-1.0, 1.0, 1.0])) / 2
        points = apply_calibration(head, points, moved)
    points = _with_irises(head, points)
    chosen = np.array(IBUG68_FROM_MEDIAPIPE)
    ibug = SurfacePoints(points.triangle[chosen], points.barycentric[chosen])
    assert len(mirror) == head.vertex_count
    return replace(head, landmarks={"mediapipe478": points, "ibug68": ibug})


def apply_calibration(head: HeadModel, points: SurfacePoints, displacement: NDArray[np.floating[Any]]) -> SurfacePoints:
    """MediaPipe-478 points moved by ``displacement (478,3)``, metres in head space, and put back onto the surface.

    Each goes to the closest point of the part of the surface it belongs to, so that a point of the lower lip never
    lands on the upper one and none leaves the skin for an eyeball. Iris points (468 to 477) stay where they are.
    """
    moved = surface_positions(points, head.triangles, head.template).astype(np.float64)
    moved[:468] += displacement[:468]
    found = closest_surface_points(moved, head.template, head.triangles, landmark_domains(head))
    keep = np.arange(len(points)) >= 468
    return SurfacePoints(
        np.where(keep, points.triangle, found.triangle).astype(np.int32),
        np.where(keep[:, None], points.barycentric, found.barycentric).astype(np.float32),
    )


def landmark_domains(head: HeadModel) -> NDArray[np.bool_]:
    """Which triangles each MediaPipe-478 landmark may lie on, (478,F): its own lip, the outer skin, or its eyeball."""
    regions = head.regions
    outside = regions["skin"] & ~regions["mouth_bag"] & ~regions["eye_sockets"]
    skin = outside[head.triangles].all(axis=1)
    lower = _lower_jaw(head)
    near_lips = regions["skin"] & regions["mouth"]
    allowed = np.repeat(skin[None], 478, axis=0)
    allowed[list(UPPER_LIP)] = (near_lips & ~lower)[head.triangles].all(axis=1)
    allowed[list(LOWER_LIP)] = (near_lips & lower)[head.triangles].all(axis=1)
    allowed[list(MOUTH_CORNERS)] = near_lips[head.triangles].all(axis=1)
    for index, part in ((RIGHT_IRIS, "right_eyeball"), (LEFT_IRIS, "left_eyeball")):
        allowed[list(index)] = regions[part][head.triangles].all(axis=1)
    return allowed


def _lower_jaw(head: HeadModel) -> NDArray[np.bool_]:
    opened = -head.expression_basis[head.expression_names.index("jawOpen"), :, 1]
    lips = head.regions["lips"]
    return opened > 0.45 * opened[lips].max()


def _shots(head: HeadModel) -> Iterator[Shot]:
    rng = np.random.default_rng(SEED)
    names = head.expression_names
    views = ((0.0, 0.0), (0.35, 0.0), (-0.35, 0.0), (0.12, 0.18), (-0.12, -0.18), (0.6, 0.05), (-0.6, 0.05))
    for person in range(IDENTITIES):
        identity = rng.normal(size=30) * 0.6
        neutral = head.neutral(identity)
        for mouth_open in (False, True):
            expression = np.zeros(len(names))
            if mouth_open:
                expression[names.index("jawOpen")] = 0.25 + 0.25 * rng.random()
            posed = posed_vertices(head, neutral, expression[None], np.zeros((1, 2, 2)))[0]
            for yaw, pitch in views if not mouth_open else views[:5]:
                target = (rng.normal() * 0.004, -0.035 + rng.normal() * 0.004, -0.02)
                camera = render.look_at_head(DISTANCE, yaw + 0.04 * rng.normal(), pitch + 0.04 * rng.normal(), target)
                yield Shot(posed, camera, person % len(SKINS), mouth_open)


def _lift(head: HeadModel, domains: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean template positions (478,3) of MediaPipe's points, and each point's mirror image (478,)."""
    inner = np.isin(np.arange(478), (*UPPER_INNER, *LOWER_INNER, *(78, 308)))
    hits: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.float64]] = []
    textures = [paint_texture(head, palette=palette) for palette in SKINS]
    corners = head.uv_vertices[head.uv_triangles]
    with render.HeadRenderer((SIZE, SIZE)) as renderer, _face_mesh() as detector:
        for shot in _shots(head):
            lens: dict[str, Any] = {"focal_px": FOCAL_PX, "principal_point": CENTRE, "world_to_camera": shot.camera}
            image = renderer.render(
                shot.vertices, head.triangles, texture=textures[shot.skin], corner_uv=corners, **lens
            )
            found = detector.process(image).multi_face_landmarks
            if not found:
                continue
            raw = np.array([(p.x, p.y, p.z) for p in found[0].landmark], np.float64) * SIZE
            buffers = renderer.surface(shot.vertices, head.triangles, **lens)
            on_template = _unproject(head, shot, raw[:, :2], buffers.triangle, domains)
            on_template[inner & (not shot.mouth_open)] = np.nan
            hits.append(on_template)
            seen.append(raw @ shot.camera[:, :3])
    if len(hits) < 20:
        raise RuntimeError(f"MediaPipe found only {len(hits)} of the rendered heads")
    return _robust_mean(np.stack(hits)), _mirror_pairs(np.stack(seen))


def _face_mesh() -> Any:
    import mediapipe

    return mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.3
    )


def _unproject(
    head: HeadModel, shot: Shot, pixels: NDArray[np.float64], ids: NDArray[np.int32], domains: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Template positions (478,3) of what lies under each pixel (478,2), NaN where a point's own part is not near."""
    found = np.full((len(pixels), 3), np.nan)
    for n, (x, y) in enumerate(pixels):
        left, top = int(x) - REACH_PX, int(y) - REACH_PX
        rows = slice(max(top, 0), max(top + 2 * REACH_PX + 1, 0))
        columns = slice(max(left, 0), max(left + 2 * REACH_PX + 1, 0))
        patch = ids[rows, columns]
        ok = (patch >= 0) & domains[n][np.maximum(patch, 0)]
        if not ok.any():
            continue
        v, u = np.nonzero(ok)
        distance = (u + columns.start + 0.5 - x) ** 2 + (v + rows.start + 0.5 - y) ** 2
        best = distance.argmin()
        pixel = (
            np.array([x, y])
            if distance[best] <= 0.5
            else np.array([u[best] + columns.start + 0.5, v[best] + rows.start + 0.5])
        )
        triangle = int(patch[v[best], u[best]])
        weights = _ray_weights(shot, shot.vertices[head.triangles[triangle]].astype(np.float64), pixel)
        found[n] = weights @ head.template[head.triangles[triangle]]
    return found


def _ray_weights(shot: Shot, corners: NDArray[np.float64], pixel: NDArray[np.float64]) -> NDArray[np.float64]:
    camera = corners @ shot.camera[:, :3].T + shot.camera[:, 3]
    ray = np.array([(pixel[0] - CENTRE[0]) / FOCAL_PX, (pixel[1] - CENTRE[1]) / FOCAL_PX, 1.0])
    weights = np.linalg.solve(camera.T, ray)
    weights = np.clip(weights / weights.sum(), 0, None)
    return weights / weights.sum()


def _robust_mean(hits: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = np.nanmedian(hits, axis=0)
    distance = np.linalg.norm(hits - middle, axis=2)
    limit = np.maximum(2.0 * np.nanmedian(distance, axis=0), 0.001)
    weight = np.where(np.isnan(distance) | (distance > limit), 0.0, 1.0)
    total = weight.sum(axis=0)
    mean = (weight[..., None] * np.nan_to_num(hits)).sum(axis=0) / np.maximum(total, 1)[:, None]
    missing = np.flatnonzero(total == 0)
    if len([n for n in missing if n < 468]):
        raise RuntimeError(f"no render showed the landmarks {missing.tolist()}")
    return mean


def _mirror_pairs(seen: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each landmark's mirror image, from MediaPipe's own 3D points (n,478,3) turned into head axes."""
    centred = seen - seen.mean(axis=1, keepdims=True)
    # alternate shots have open mouths; halves keep upper and lower lip apart
    shape = np.concatenate([centred.mean(axis=0), np.percentile(centred[..., 1], 90, axis=0)[:, None]], axis=1)
    image = shape * np.array([-1.0, 1.0, 1.0, 1.0])
    cost = ((shape[:, None] - image[None]) ** 2).sum(-1)
    return linear_sum_assignment(cost + cost.T)[1]


def _with_irises(head: HeadModel, points: SurfacePoints) -> SurfacePoints:
    triangle, barycentric = points.triangle.copy(), points.barycentric.copy()
    ring = 1 + eyes.RING_DEGREES.index(eyes.LIMBUS_DEGREES) * eyes.SEGMENTS
    quarter = eyes.SEGMENTS // 4
    up, left, down, right = (ring + k * quarter for k in range(4))
    for index, part, order in (
        (RIGHT_IRIS, "right_eyeball", (0, left, up, right, down)),
        (LEFT_IRIS, "left_eyeball", (0, left, up, right, down)),
    ):
        start = int(np.flatnonzero(head.regions[part])[0])
        for landmark, vertex in zip(index, order, strict=True):
            found, corner = np.nonzero(head.triangles == start + vertex)
            triangle[landmark] = found[0]
            barycentric[landmark] = np.eye(3)[corner[0]]
    return SurfacePoints(triangle, barycentric)
