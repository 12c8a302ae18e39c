"""Pictures in the atlas: against the skin they were drawn with, and OpenGL's idea of what is hidden."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.cameras.distortion import Lens, undistort
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.library import load_head
from backend.head_model.posed import PosedHead
from backend.head_model.render import HeadRenderer, vertex_normals
from backend.skin_matching.keypoints import MOST, skin_keypoints
from backend.skin_matching.unwrap import GRAZING, face_texels, unwrap
from protocol.messages import DistortionModel
from tests.backend.skin_matching.rendered import FOCAL, SIDE, Rig

TEXELS = 512
RIG = Rig(((0.0, 0.0), (0.7, 0.1)))


def placed(view: int, lens: Lens | None = None) -> PosedHead:
    camera = RIG.world_to_camera[view]
    vertices = RIG.head.template @ camera[:, :3].T + camera[:, 3]
    return PosedHead(vertices.astype(np.float64), FOCAL, (SIDE / 2, SIDE / 2), lens)


def grey(view: int) -> np.ndarray:
    return cv2.cvtColor(RIG.pictures[view], cv2.COLOR_RGB2GRAY)


def test_two_views_show_the_same_skin() -> None:
    first, second = (unwrap(RIG.head, TEXELS, grey(view), placed(view)) for view in (0, 1))
    both = np.minimum(first.facing, second.facing) > 0.6
    assert both.mean() > 0.05
    assert np.corrcoef(first.grey[both], second.grey[both])[0, 1] > 0.85
    astray = np.roll(second.grey, 6, axis=1)
    assert np.corrcoef(first.grey[both], astray[both])[0, 1] < 0.4


@pytest.mark.parametrize(
    "lens",
    [
        Lens(FOCAL, (SIDE / 2, SIDE / 2), 1.0, (-0.3, 0.1, 0.0, 0.0, 0.0)),
        Lens(FOCAL, (SIDE / 4, SIDE / 4), 1.0, (0.0, 0.0, 0.0, 0.0), DistortionModel.FISHEYE),
    ],
)
def test_a_lens_is_looked_through(lens: Lens) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    ideal = undistort(np.stack([x, y], axis=-1), lens).points.astype(np.float32) - 0.5
    bent = cv2.remap(grey(0), ideal[..., 0], ideal[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    straight = unwrap(RIG.head, TEXELS, grey(0), placed(0))
    through = unwrap(RIG.head, TEXELS, bent, placed(0, lens))
    seen = np.minimum(straight.facing, through.facing) > 0.5
    assert np.corrcoef(straight.grey[seen], through.grey[seen])[0, 1] > 0.9
    np.testing.assert_array_equal(straight.position, through.position)


@pytest.mark.parametrize("view", [0, 1])
def test_what_is_hidden_is_what_opengl_hides(view: int) -> None:
    head, face = RIG.head, placed(view)
    texels = face_texels(head, TEXELS)
    with HeadRenderer((2 * SIDE, 2 * SIDE)) as renderer:
        depth = renderer.surface(
            face.vertices,
            head.triangles,
            focal_px=2 * FOCAL,
            principal_point=(SIDE, SIDE),
            world_to_camera=np.eye(3, 4),
        ).depth
    points = texels.on_surface(head, face.vertices)
    column, row = np.floor(2 * face.project(points)).astype(int).T
    normals = texels.on_surface(head, vertex_normals(face.vertices, head.triangles))
    cosine = -np.einsum("nc,nc->n", normals, points) / np.linalg.norm(normals, axis=1) / np.linalg.norm(points, axis=1)
    behind = points[:, 2] - depth[row, column]
    seen = unwrap(head, TEXELS, grey(view), face).facing[texels.rows, texels.columns] > 0
    assert not seen[cosine < GRAZING - 0.01].any()
    assert (behind > 0.012).mean() > 0.02 and seen[behind > 0.012].mean() < 0.05
    assert seen[(behind < 0.002) & (cosine > GRAZING + 0.05)].mean() > 0.97


@pytest.mark.parametrize("side", [64, 500])
def test_texels_are_the_points_of_the_atlas_that_they_say(side: int) -> None:
    head = load_head("open")
    texels = AtlasTexels.of(head, side)
    assert texels.barycentric.min() >= 0
    np.testing.assert_allclose(texels.barycentric.sum(axis=1), 1, atol=1e-9)
    corners = head.uv_vertices[head.uv_triangles[texels.triangle]].astype(np.float64)
    uv = np.einsum("nk,nkc->nc", texels.barycentric, corners)
    np.testing.assert_allclose(uv[:, 0] * side, texels.columns + 0.5, atol=1e-6)
    np.testing.assert_allclose((1 - uv[:, 1]) * side, texels.rows + 0.5, atol=1e-6)
    assert len(np.unique(texels.rows * side + texels.columns)) == len(texels.rows)
    flat = np.pad(head.uv_vertices.astype(np.float64) * (1, -1) + (0, 1), ((0, 0), (0, 1)), constant_values=1.0)
    with HeadRenderer((side, side)) as renderer:
        drawn = renderer.surface(
            flat, head.uv_triangles, focal_px=side, principal_point=(0.0, 0.0), world_to_camera=np.eye(3, 4)
        )
    ours = np.zeros((side, side), bool)
    ours[texels.rows, texels.columns] = True
    assert (ours != (drawn.triangle >= 0)).mean() < 5e-4


def test_keypoints_are_face_skin() -> None:
    head = load_head("open")
    keypoints = skin_keypoints(head)
    assert 500 < len(keypoints.nu) <= MOST
    assert len(keypoints.points) == len(keypoints.nu)
    corners = head.triangles[keypoints.points.triangle]
    vertices = corners[np.arange(len(corners)), keypoints.points.barycentric.argmax(axis=1)]
    assert head.regions["skin"][vertices].all() and not head.regions["lids"][vertices].any()
    assert skin_keypoints(head) is keypoints
    few = skin_keypoints(head, 200)
    assert len(few.nu) == 200 and np.isin(few.vertex, keypoints.vertex).all()
