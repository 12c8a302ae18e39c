"""``python -m backend.point_calibration.lift [OUT.npz]``: measure where MediaPipe sees its points on the open head.

MediaPipe looks at renders of many identities from several views; each of its points is lifted onto the surface it hits
(inner lips from open mouths, where the two lips can be told apart), carried to the template, averaged, made symmetric
and moved onto the part of the surface it belongs to. The result is an input of the head's builder: when the head's
shape changes, build it, run this, build it again, and then measure ``backend.point_calibration`` on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from backend.alignment.landmarks.plain_mesh import PlainFaceMesh
from backend.errors import ErrorCode, UserError
from backend.head_model import render
from backend.head_model.appearance import Palette, paint_texture
from backend.head_model.builder.landmarks import (
    LIFT,
    LIFTED,
    LOWER_INNER,
    UPPER_INNER,
    landmark_domains,
    lifted_positions,
)
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.head_model.surface import closest_allowed_points

SEED = 478
SIZE = 512
IDENTITIES = 14
REACH_PX = 14
"""The distance from a landmark's pixel up to which a pixel of its own part of the surface is still taken for it."""

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


def shots(head: HeadModel) -> Iterator[Shot]:
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


def lift(head: HeadModel) -> NDArray[np.float64]:
    """MediaPipe's points as seen on renders of ``head``: (468,3) on its template's surface, metres, symmetric.

    Takes about 20 s. Measurements of heads that differ by rounding agree to 0.01 mm in the median and 0.3 mm at worst:
    MediaPipe answers the last bit of a pixel, and ``_robust_mean`` decides sharply which answers count.
    Raises ``UserError`` ``no_opengl`` where nothing can be drawn, ``lift_failed`` where MediaPipe finds too few faces.
    """
    domains = landmark_domains(head)
    hits, seen = _look(head, domains)
    mean = _robust_mean(hits)
    pairs = _mirror_pairs(seen)
    symmetric = (mean + mean[pairs] * np.array([-1.0, 1.0, 1.0])) / 2
    points = closest_allowed_points(symmetric, head.template, head.triangles, domains)
    return surface_positions(points, head.triangles, head.template.astype(np.float64))[:LIFTED]


def _look(head: HeadModel, domains: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """MediaPipe's answers for each render: the points' template positions, and its own 3D points; both (n,478,3)."""
    inner = np.isin(np.arange(478), (*UPPER_INNER, *LOWER_INNER, *(78, 308)))
    hits: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.float64]] = []
    textures = [paint_texture(head, palette=palette) for palette in SKINS]
    corners = head.uv_vertices[head.uv_triangles]
    with render.HeadRenderer((SIZE, SIZE)) as renderer, PlainFaceMesh(min_confidence=0.3) as detector:
        for shot in shots(head):
            lens: dict[str, Any] = {"focal_px": FOCAL_PX, "principal_point": CENTRE, "world_to_camera": shot.camera}
            image = renderer.render(
                shot.vertices, head.triangles, texture=textures[shot.skin], corner_uv=corners, **lens
            )
            found = detector(image)
            if found is None:
                continue
            raw = found * SIZE
            buffers = renderer.surface(shot.vertices, head.triangles, **lens)
            on_template = _unproject(head, shot, raw[:, :2], buffers.triangle, domains)
            on_template[inner & (not shot.mouth_open)] = np.nan
            hits.append(on_template)
            seen.append(raw @ shot.camera[:, :3])
    if len(hits) < 20:
        raise UserError(
            ErrorCode.LIFT_FAILED, f"MediaPipe found only {len(hits)} of the rendered heads; at least 20 were expected."
        )
    return np.stack(hits), np.stack(seen)


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
        raise UserError(ErrorCode.LIFT_FAILED, f"No render showed MediaPipe's points {missing.tolist()}.")
    return mean


def _mirror_pairs(seen: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each landmark's mirror image, from MediaPipe's own 3D points (n,478,3) turned into head axes."""
    centred = seen - seen.mean(axis=1, keepdims=True)
    # alternate shots have open mouths; halves keep upper and lower lip apart
    shape = np.concatenate([centred.mean(axis=0), np.percentile(centred[..., 1], 90, axis=0)[:, None]], axis=1)
    image = shape * np.array([-1.0, 1.0, 1.0, 1.0])
    cost = ((shape[:, None] - image[None]) ** 2).sum(-1)
    return linear_sum_assignment(cost + cost.T)[1]


def measure(out: Annotated[Path, typer.Argument(help="Where to write the points (.npz).")] = LIFT) -> None:
    """Lift MediaPipe's points on the built-in open head, and say how far they lie from those in use."""
    found = lift(load_head("open"))
    moved = np.linalg.norm(found - lifted_positions(), axis=1) * 1e3
    print(f"from the points in use: median {np.median(moved):.2f} mm, largest {moved.max():.2f} mm")
    np.savez_compressed(out, position=found.astype(np.float32))


if __name__ == "__main__":
    typer.run(measure)
