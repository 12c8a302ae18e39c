"""The landmark embeddings sit where MediaPipe and people put them."""

import numpy as np
import pytest

from backend.alignment.landmarks.plain_mesh import PlainFaceMesh
from backend.head_model import render
from backend.head_model.appearance import Palette, paint_texture
from backend.head_model.builder import landmarks
from backend.head_model.builder.scanned import read_scanned
from backend.head_model.library import load_head
from backend.head_model.model import SurfacePoints, posed_vertices, surface_positions
from backend.head_model.rigid import similarity_between

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def points(head):
    return surface_positions(head.landmarks["mediapipe478"], head.triangles, head.template) * MM


def on_parts(head, points: SurfacePoints, part: str):
    return head.regions[part][head.triangles[points.triangle]].all(axis=1)


def test_both_sets_are_there_and_on_the_surface(head):
    sets = {name: head.landmarks[name] for name in ("mediapipe478", "ibug68")}
    assert [len(points) for points in sets.values()] == [478, 68]
    for found in sets.values():
        assert np.allclose(found.barycentric.sum(axis=1), 1, atol=1e-5)
        assert found.barycentric.min() > -1e-4


def test_only_irises_lie_on_eyeballs(head):
    found = head.landmarks["mediapipe478"]
    assert on_parts(head, found, "skin")[:468].all()
    assert on_parts(head, found, "right_eyeball")[468:473].all()
    assert on_parts(head, found, "left_eyeball")[473:].all()
    hidden = head.regions["mouth_bag"] | head.regions["eye_sockets"]
    inner = (*landmarks.UPPER_INNER, *landmarks.LOWER_INNER)
    outer = np.setdiff1d(np.arange(468), (*inner, *landmarks.UPPER_LIP, *landmarks.LOWER_LIP, *landmarks.MOUTH_CORNERS))
    assert not hidden[head.triangles[found.triangle[outer]]].all(axis=1).any()


@pytest.mark.parametrize(
    ("right", "left"),
    [(33, 263), (133, 362), (61, 291), (78, 308), (70, 300), (159, 386), (145, 374), (234, 454), (468, 473), (98, 327)],
)
def test_pairs_mirror(points, right, left):
    assert points[right][0] < 0 < points[left][0]
    assert np.allclose(points[right] * [-1, 1, 1], points[left], atol=0.6)


@pytest.mark.parametrize("index", [10, 151, 168, 4, 1, 2, 0, 13, 14, 17, 152])
def test_middle_points_lie_in_the_middle(points, index):
    assert abs(points[index][0]) < 0.5


def test_face_is_in_order_from_top_to_chin(points):
    heights = points[[10, 151, 9, 168, 6, 4, 2, 0, 13, 14, 17, 199, 152], 1]
    assert (np.diff(heights) < 0).all()


def test_eye_corners_and_lids_frame_the_eye(head, points):
    left = head.joints(head.template)[3] * MM
    inner, outer, upper, lower = points[362], points[263], points[386], points[374]
    assert inner[0] < left[0] < outer[0] and 20 < outer[0] - inner[0] < 36
    assert lower[1] < upper[1] and 6 < upper[1] - lower[1] < 14
    for corner in (inner, outer):
        assert abs(corner[1]) < 6


def test_irises_are_as_large_as_a_humans_and_in_mediapipes_order(points):
    for centre in (468, 473):
        offsets = points[centre + 1 : centre + 5] - points[centre]
        assert np.allclose(np.linalg.norm(offsets[:, :2], axis=1), 5.85, atol=0.15)
        assert [tuple(np.sign(np.round(o[:2]))) for o in offsets] == [(1, 0), (0, 1), (-1, 0), (0, -1)]


def test_an_opening_mouth_parts_inner_lips(head, points):
    opened = head.template + 0.5 * head.expression_basis[head.expression_names.index("jawOpen")]
    after = surface_positions(head.landmarks["mediapipe478"], head.triangles, opened) * MM
    upper, lower = list(landmarks.UPPER_INNER), list(landmarks.LOWER_INNER)
    closed_gap = np.abs(points[upper, 1] - points[lower, 1])
    assert closed_gap.max() < 6
    assert np.abs(after[upper] - points[upper]).max() < 5, "the upper lip stays"
    assert (points[lower, 1] - after[lower, 1]).max() > 10 and after[13, 1] - after[14, 1] > 10


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_blink_takes_the_upper_lids_edge_down_and_leaves_the_lower_one(head, points, side):
    blink = head.expression_basis[head.expression_names.index(f"eyeBlink{side}")] * MM
    drop = -surface_positions(head.landmarks["mediapipe478"], head.triangles, blink)[:, 1]
    own = points[:, 0] > 0 if side == "Left" else points[:, 0] < 0
    upper, lower = ([i for i in lids if own[i]] for lids in (landmarks.UPPER_LIDS, landmarks.LOWER_LIDS))
    assert len(upper) == len(lower) == 7
    assert drop[upper].min() > 1.2 and np.median(drop[upper]) > 6
    assert np.abs(drop[lower][1:]).max() < 1.3 and drop[lower].max() < 2.5


def test_ibug_points_move_where_they_are_told_and_else_stay(head):
    plain = landmarks.ibug68_chosen_from(head.landmarks["mediapipe478"])
    shift = np.zeros((68, 3))
    shift[48], shift[62], shift[66] = (-0.002, 0, 0), (0, -0.01, 0), (0, 0.01, 0)
    moved = landmarks.apply_ibug68_calibration(head, plain, shift)
    home, after = (surface_positions(p, head.triangles, head.template) * MM for p in (plain, moved))
    assert after[48][0] == pytest.approx(home[48][0] - 2, abs=0.7)
    still = np.setdiff1d(np.arange(68), (48, 62, 66))
    assert np.array_equal(plain.triangle[still], moved.triangle[still])
    assert np.array_equal(plain.barycentric[still], moved.barycentric[still])
    opening = head.expression_basis[head.expression_names.index("jawOpen")] * MM
    drop = surface_positions(moved, head.triangles, opening)[:, 1]
    assert drop[66] < -10 < -5 < drop[62], "each stays on its own lip"


def test_ibug_points_are_mirror_images(head):
    at = surface_positions(head.landmarks["ibug68"], head.triangles, head.template) * MM
    pairs = [(36, 45), (39, 42), (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (31, 35), (0, 16), (17, 26)]
    for right, left in pairs:
        assert np.allclose(at[right] * [-1, 1, 1], at[left], atol=0.1)


def test_ibug_points_are_where_others_put_them_too(head, shared_data):
    """ICT-FaceKit's makers chose its vertices for iBUG-68 themselves, and its mean person lies on the open head's
    vertices: where only annotators of photographs were asked, they have to agree.
    """
    people = read_scanned()
    with np.load(shared_data / "ict" / "ict_facekit.npz", allow_pickle=False) as data:
        theirs = data["neutral"][data["landmarks_68"]] * 0.01
    plain = landmarks.ibug68_chosen_from(head.landmarks["mediapipe478"])
    apart = []
    for points in (plain, head.landmarks["ibug68"]):
        ours = surface_positions(points, head.triangles, people.mean)
        inner = np.arange(17, 68)
        apart.append(np.linalg.norm(ours[inner] - onto(theirs, ours, inner), axis=1).mean() * MM)
    assert apart[1] < 2.1 < 2.3 < apart[0]


def onto(moving, fixed, index):
    """``moving[index]`` turned, scaled and moved onto ``fixed[index]``, in the sense of least squares."""
    return similarity_between(moving[index], fixed[index]).apply(moving[index])


@pytest.mark.slow
def test_calibration_moves_points_along_their_own_part(head, points):
    shift = np.zeros((478, 3))
    shift[4] = (0.002, 0, 0)
    shift[14] = (0, 0.020, 0)
    shift[13] = (0, -0.020, 0)
    shift[468] = (0.01, 0, 0)
    moved = landmarks.apply_calibration(head, head.landmarks["mediapipe478"], shift)
    after = surface_positions(moved, head.triangles, head.template) * MM
    assert after[4][0] == pytest.approx(2.0, abs=0.7)
    assert np.allclose(after[468], points[468]) and np.allclose(after[200], points[200], atol=0.01)
    opening = head.expression_basis[head.expression_names.index("jawOpen")] * MM
    drop = surface_positions(moved, head.triangles, opening)[:, 1]
    assert drop[14] < -10 < -5 < drop[13], "the lower lip's point is still carried by the jaw, the upper lip's is not"


def test_mediapipe_on_an_unseen_person_lands_on_the_embedding(head):
    """Stable points within 3 % of the inter-ocular distance in the mean, over people, poses and a look never used."""
    rng = np.random.default_rng(99)
    oval = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149)
    oval += (150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
    stable = np.setdiff1d(np.arange(468), oval)
    texture = paint_texture(head, palette=Palette(skin=(0.70, 0.52, 0.42), brows=(0.12, 0.09, 0.08)))
    corners = head.uv_vertices[head.uv_triangles]
    errors = []
    with render.HeadRenderer((640, 480)) as renderer, PlainFaceMesh() as detector:
        for yaw, pitch in ((0.2, 0.1), (-0.25, -0.05), (0.0, 0.0)):
            neutral = head.neutral(rng.normal(size=40) * 0.7)
            vertices = posed_vertices(head, neutral, np.zeros((1, 52)), np.zeros((1, 2, 2)))[0]
            camera = render.look_at_head(0.8, yaw, pitch, (0.01, -0.04, -0.02))
            lens = {"focal_px": 1000.0, "principal_point": (320.0, 240.0), "world_to_camera": camera}
            image = renderer.render(vertices, head.triangles, texture=texture, corner_uv=corners, **lens)
            found = detector(image)
            assert found is not None, "the rendered face is found"
            seen = found[:, :2] * (640, 480)
            space = surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)
            space = space @ camera[:, :3].T + camera[:, 3]
            expected = space[:, :2] / space[:, 2:] * 1000 + [320, 240]
            unit = np.linalg.norm(expected[468] - expected[473])
            errors.append(np.linalg.norm(seen - expected, axis=1)[stable].mean() / unit)
    assert np.mean(errors) < 0.03
