"""The renderer draws what the camera convention says, where it says."""

import numpy as np
import pytest
from typer.testing import CliRunner

from backend.errors import UserError
from backend.head_model import cli, render
from backend.head_model.appearance import default_colors, paint_texture
from backend.head_model.library import load_head

TRIANGLE = np.array([[0, 1, 2]])


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_a_point_lands_on_the_pixel_the_pinhole_camera_says():
    camera = np.array([[1, 0, 0, 0.1], [0, 1, 0, -0.05], [0, 0, 1, 0.5]], float)
    focal, principal = 300.0, (90.0, 70.0)
    corners = np.array([[-0.1, -0.1, 1.5], [0.2, -0.05, 1.8], [0.0, 0.15, 1.2]])
    with render.HeadRenderer((200, 150)) as renderer:
        buffers = renderer.surface(corners, TRIANGLE, focal_px=focal, principal_point=principal, world_to_camera=camera)
    space = corners @ camera[:, :3].T + camera[:, 3]
    (ax, ay), (bx, by), (cx, cy) = space[:, :2] / space[:, 2:] * focal + principal
    y, x = np.mgrid[0:150, 0:200] + 0.5
    sides = [
        (qx - px) * (y - py) - (qy - py) * (x - px)
        for px, py, qx, qy in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay))
    ]
    inside = np.all([s > 0 for s in sides], axis=0) | np.all([s < 0 for s in sides], axis=0)
    differs = inside != (buffers.triangle == 0)
    assert inside.sum() > 500 and differs.sum() <= 5, "only pixels that an edge runs through may differ"
    near = np.unravel_index(np.argmin(np.where(np.isfinite(buffers.depth), buffers.depth, 9)), buffers.depth.shape)
    assert buffers.depth[near] == pytest.approx(space[:, 2].min(), abs=0.03)


def test_the_nearer_surface_hides_the_farther():
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    vertices = np.concatenate([square + np.array([0, 0, 3]), square * 0.3 + np.array([0, 0, 2])])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    colors = np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 4, axis=0)
    view = {"focal_px": 60.0, "principal_point": (32.0, 32.0), "world_to_camera": np.eye(3, 4)}
    with render.HeadRenderer((64, 64)) as renderer:
        image = renderer.render(vertices, triangles, colors, **view)
    assert image[32, 32, 1] > 100 > image[32, 32, 0] and image[32, 14, 0] > 100 > image[32, 14, 1]


def test_background_shows_where_nothing_is_drawn(head):
    background = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    camera = render.look_at_head(1.0)
    with render.HeadRenderer((160, 120)) as renderer:
        image = renderer.render(
            head.template,
            head.triangles,
            default_colors(head),
            focal_px=200,
            principal_point=(80, 60),
            world_to_camera=camera,
            background=background,
        )
    assert np.array_equal(image[:5, :5], background[:5, :5])
    assert not np.array_equal(image[55:65, 75:85], background[55:65, 75:85])


def test_subjects_left_is_on_the_images_right(head):
    camera = render.look_at_head(1.0)
    left, right = head.joints(head.template)[3:5] @ camera[:, :3].T + camera[:, 3]
    assert left[0] > 0 > right[0] and left[2] == pytest.approx(1.0, abs=0.01)
    assert (head.template[head.template[:, 1].argmax()] @ camera[:, :3].T + camera[:, 3])[1] < 0
    assert np.linalg.det(render.look_at_head(1.0, 0.7, -0.4)[:, :3]) == pytest.approx(1)


def test_texture_and_vertex_colours_agree_on_the_forehead(head):
    camera = render.look_at_head(1.0, target=(0, 0.03, 0))
    view = {"focal_px": 400, "principal_point": (100, 100), "world_to_camera": camera}
    with render.HeadRenderer((200, 200)) as renderer:
        plain = renderer.render(head.template, head.triangles, default_colors(head), **view)
        corners = head.uv_vertices[head.uv_triangles]
        painted = renderer.render(
            head.template, head.triangles, texture=paint_texture(head, 512), corner_uv=corners, **view
        )
    assert np.abs(plain.astype(int) - painted)[85:100, 80:120].mean() < 6
    assert np.abs(plain.astype(int) - painted).mean() < 6


@pytest.mark.parametrize("size", [(0, 10), (10, 100_000), (-1, -1)])
def test_sizes_out_of_bounds_are_refused(size):
    with pytest.raises(UserError) as caught:
        render.HeadRenderer(size)
    assert caught.value.code == "image_size"


@pytest.mark.slow
def test_show_draws_a_sheet_and_list_names_the_head(tmp_path):
    import cv2

    runner = CliRunner()
    shown = runner.invoke(cli.app, ["show", "open", "-o", str(tmp_path / "sheet.png")])
    assert shown.exit_code == 0, shown.output
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[0] > 2000 and sheet.shape[1] > 1500 and sheet.std() > 30
    listed = runner.invoke(cli.app, ["list"])
    assert "open" in listed.output and "CC0" in listed.output


def test_show_refuses_what_it_cannot_do(tmp_path):
    runner = CliRunner()
    for arguments, code in (
        (["show", "open", "-o", str(tmp_path / "sheet.gif")], "bad_output"),
        (["show", "nobody", "-o", str(tmp_path / "sheet.png")], "head_unknown"),
    ):
        result = runner.invoke(cli.app, arguments)
        assert isinstance(result.exception, UserError) and result.exception.code == code


def test_opengl_without_a_window_is_asked_for_in_each_systems_way():
    assert render.context_options("linux") == {"backend": "egl"}
    assert render.context_options("win32") == render.context_options("darwin") == {}
    assert "apt-get" in render.opengl_hint("linux", installed=True)
    assert "apt-get" not in render.opengl_hint("win32", installed=True)
    assert "ARM64" in render.opengl_hint("linux", installed=False)
