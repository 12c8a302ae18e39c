"""A performance of known truth, rendered from two cameras, through a real server, worker, aligner and joint fit."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.cameras.distortion import Lens, undistort
from backend.client.connection import Client
from backend.errors import UserError
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.observations.io import load_alignments
from backend.server.app import Server
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import demo_performance, seen_from, world_vertices
from backend.track.geometry import seen_vertices
from backend.track.io import load_track
from protocol.messages import RESULT_FILES, CameraSpec, JobState, SolveOptions, TrackJob, ViewSpec
from tests.backend.server.conftest import REPOSITORY, running

pytestmark = pytest.mark.slow

UNPAINTED = SolveOptions(texture=False)  # of which nothing is looked at here, and which takes as long as the rest

FRAMES, RATE, LATE = 10, 25.0, 3  # the first camera starts LATE frames after the second
SIDE, FIRST_FOCAL, SECOND_FOCAL = 320, 440.0, 520.0
LENS = Lens(SECOND_FOCAL, (163.0, 157.0), 1.02, (-0.18, 0.06, 0.001, -0.002, 0.0))


def second_camera():
    """[R | t] of a camera 40° to the side of the first, as far from the face."""
    turn = Rotation.from_euler("y", 40, degrees=True).as_matrix()
    face = np.array([0, 0, 0.55])
    return np.concatenate([turn, (face - turn @ face)[:, None]], axis=1)


def through_lens(image):
    """The picture that LENS makes of what an ideal pinhole sees."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    ideal = undistort(np.stack([x, y], axis=-1), LENS).points.astype(np.float32) - 0.5
    return cv2.remap(image, ideal[..., 0], ideal[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Truth of the first view, and three clips: the first view, the second, and the second through a lens."""
    folder = tmp_path_factory.mktemp("footage")
    head = load_head("open")
    whole = demo_performance(head, frame_count=FRAMES + LATE, side=SIDE, focal_px=FIRST_FOCAL)
    fields = ("expression", "head_rotation", "head_translation", "gaze", "focal_px")
    truth = dataclasses.replace(whole, **{name: getattr(whole, name)[LATE:] for name in fields})
    other = seen_from(whole, second_camera(), SECOND_FOCAL)
    through = dataclasses.replace(other, principal_point=np.array(LENS.principal_point))
    encode_evenly(folder / "front.mp4", render_performance(head, truth), RATE)
    encode_evenly(folder / "side.mp4", render_performance(head, other), RATE)
    encode_evenly(folder / "lens.mp4", map(through_lens, render_performance(head, through)), RATE)
    return head, truth, folder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of one server for the whole module: its worker loads torch and MediaPipe once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        jobs = tmp_path_factory.mktemp("jobs")
        with running(Server(jobs, "tcp://127.0.0.1:*")) as server, Client(server.endpoint) as connected:
            yield connected


def views(folder, second="side.mp4", offset=LATE / RATE, cameras=(None, None)):
    return (
        ViewSpec(str(folder / "front.mp4"), "front", camera=cameras[0]),
        ViewSpec(str(folder / second), "side", offset, camera=cameras[1]),
    )


def tracked(client, tmp_path, spec, on_status=None):
    """The reply, and the track as its file has it."""
    reply = client.track(spec, on_status, RESULT_FILES)
    for name, data in reply.files.items():
        (tmp_path / name).write_bytes(data.tobytes())
    return reply, load_track(tmp_path / "track.npz")


def face_error(head, truth, track):
    """Mean distance of the face's vertices from the truth in each view of a track, pixels."""
    face = np.flatnonzero(head.regions["face"])
    world = world_vertices(head, truth)[:, face]
    errors = []
    for view, extrinsics in enumerate((np.eye(3, 4), second_camera())):
        there = world @ extrinsics[:, :3].T + extrinsics[:, 3]
        focal, centre = track.cameras[view].focal_px[0], track.cameras[view].principal_point
        expected = there[..., :2] / there[..., 2:] * focal + centre
        seen = seen_vertices(head, track, np.arange(FRAMES), vertices=face, view=view)[..., :2]
        errors.append(float(np.linalg.norm(seen - expected, axis=-1).mean()))
    return errors


def test_two_cameras_of_which_nothing_is_known(client, footage, tmp_path):
    head, _, folder = footage
    shown = []

    def show(status):
        if status.partial and not shown:
            shown.append(client.result(status.job_id, partial=True))

    reply, track = tracked(client, tmp_path, TrackJob(views(folder), options=UNPAINTED), show)
    take = reply.take
    assert take.tracked.all() and len(take.cameras) == 2
    front, side = take.cameras
    assert (front.name, side.name) == ("front", "side")
    np.testing.assert_array_equal(front.footage_frames, np.arange(1, FRAMES + 1))
    np.testing.assert_array_equal(side.footage_frames, np.arange(1, FRAMES + 1) + LATE)
    assert (front.footage_first_frame, side.footage_first_frame) == (1, 1 - LATE)
    np.testing.assert_array_equal(front.world_to_camera, np.tile(np.eye(3, 4), (FRAMES, 1, 1)))
    turned = Rotation.from_matrix(side.world_to_camera[0, :, :3] @ second_camera()[:, :3].T).magnitude()
    assert np.rad2deg(turned) < 8, "a rendered face biases MediaPipe by some degrees"
    for camera in take.cameras:
        assert (camera.reprojection_error_percent_iod < 4).all()
    assert len(take.action_names) == 52 and take.actions.shape == (FRAMES, 52)
    assert (take.uncertainty_mm > 0).all()
    np.testing.assert_array_equal(track.actions, take.actions)
    assert track.deformation.any(), "with several views the nose may leave the identity basis"
    own = take.head.neutral[: head.vertex_count]
    np.testing.assert_allclose(own, head.neutral(track.identity) + track.deformation, atol=1e-7)
    saved = load_alignments(tmp_path / "alignments.npz")
    assert saved[1].numbers.tolist() == list(range(LATE, FRAMES + LATE + 1)), "one frame more than can be needed"
    report = json.loads((tmp_path / "report.json").read_text())
    assert [view["frames_seen"] for view in report["views"]] == [FRAMES, FRAMES]
    assert report["warnings"] == []
    matching = report["matching"]
    assert set(matching["keypoints"]) == {"front", "side"} and min(matching["keypoints"].values()) > 100
    assert matching["frames"][0] == 1 and matching["frames"][-1] == FRAMES and not matching["cameras_well_constrained"]
    assert report["views"][1]["offset"] == LATE / RATE and not report["views"][1]["position_known"]
    (part,) = shown
    assert part.job.state is JobState.RUNNING and part.take.tracked.all() and len(part.take.cameras) == 2
    assert not np.array_equal(part.take.cameras[1].world_to_camera, side.world_to_camera), "matching moves the camera"
    np.testing.assert_allclose(part.take.head_translation, take.head_translation, atol=0.05)
    assert part.take.report["aligner"] == "mediapipe" and part.take.report["seconds"]["fit"] > 0
    assert reply.job.partial == 0


@pytest.fixture(scope="module")
def known_cameras():
    size = (SIDE, SIDE)
    first = CameraSpec(size, FIRST_FOCAL, 1.0, (SIDE / 2, SIDE / 2), (), tuple(np.eye(3, 4).ravel().tolist()))
    posed = tuple(second_camera().ravel().tolist())
    return first, CameraSpec(size, SECOND_FOCAL, LENS.focal_ratio, LENS.principal_point, LENS.coefficients, posed)


def test_known_cameras_are_kept_and_their_lens_is_taken_out(client, footage, known_cameras, tmp_path):
    head, truth, folder = footage
    _, track = tracked(client, tmp_path, TrackJob(views(folder, "lens.mp4", cameras=known_cameras), options=UNPAINTED))
    first, second = track.cameras
    assert first.focal_px[0] == FIRST_FOCAL and second.focal_px[0] == SECOND_FOCAL
    np.testing.assert_allclose(second.world_to_camera[0], second_camera(), atol=1e-12)
    assert second.distortion == LENS.coefficients and second.focal_ratio == LENS.focal_ratio
    with_lens = face_error(head, truth, track)
    assert max(with_lens) < 5, "the truth is metric and so is the track: both views agree with it"
    middle = np.linalg.norm(track.head_translation - truth.head_translation, axis=1)
    assert middle.max() < 0.02
    ideal = dataclasses.replace(known_cameras[1], distortion=(), focal_ratio=1.0)
    _, wrong = tracked(
        client, tmp_path, TrackJob(views(folder, "lens.mp4", cameras=(known_cameras[0], ideal)), options=UNPAINTED)
    )
    ignored = np.nanmean(wrong.cameras[1].reprojection_error_percent_iod)
    assert np.nanmean(second.reprojection_error_percent_iod) < ignored


def test_cameras_mistaken_for_each_other_are_noticed(client, footage, known_cameras):
    _, _, folder = footage
    first, second = known_cameras
    swapped = (
        dataclasses.replace(first, world_to_camera=second.world_to_camera),
        dataclasses.replace(second, world_to_camera=first.world_to_camera),
    )
    with pytest.raises(UserError, match="this is not their calibration") as caught:
        client.track(TrackJob(views(folder, "lens.mp4", cameras=swapped)))
    assert caught.value.code == "views_disagree" and "offsets" in caught.value.hint


def test_a_rig_of_unknown_unit_gets_its_scale_from_the_head(client, footage, known_cameras, tmp_path):
    _, _, folder = footage
    inches = np.reshape(known_cameras[1].world_to_camera, (3, 4)).copy()
    inches[:, 3] /= 0.0254
    cameras = known_cameras[0], dataclasses.replace(known_cameras[1], world_to_camera=tuple(inches.ravel().tolist()))
    spec = TrackJob(views(folder, "lens.mp4", cameras=cameras), options=UNPAINTED, metric_cameras=False)
    _, track = tracked(client, tmp_path, spec)
    found = track.cameras[1].world_to_camera[0, :, 3]
    np.testing.assert_allclose(found, second_camera()[:, 3], rtol=0.15)
    np.testing.assert_allclose(np.cross(found, second_camera()[:, 3]), 0, atol=1e-9)


def test_skin_is_not_matched_where_nobody_wants_it_or_nothing_is_to_be_matched(client, footage, tmp_path):
    _, _, folder = footage
    plain = TrackJob(views(folder), frames=(1, 3), options=dataclasses.replace(UNPAINTED, match_skin=False))
    for spec in (plain, TrackJob(views(folder)[:1], frames=(1, 3), options=UNPAINTED)):
        tracked(client, tmp_path, spec)
        assert json.loads((tmp_path / "report.json").read_text())["matching"] is None


def test_another_persons_neutral_moves_the_shape_towards_it(client, footage, tmp_path):
    head, _, folder = footage
    shape = np.zeros(len(head.shape_basis), np.float32)
    shape[:6] = (2.0, -2.0, 1.5, -1.5, 1.0, 1.0)
    neutral = head.neutral(shape)
    mesh = tmp_path / "neutral.obj"
    mesh.write_text("".join(f"v {100 * x:.5f} {100 * z + 7:.5f} {-100 * y:.5f}\n" for x, y, z in neutral))
    one = TrackJob(views(folder)[:1], frames=(1, 3), options=UNPAINTED)
    _, without = tracked(client, tmp_path, one)
    _, given = tracked(client, tmp_path, dataclasses.replace(one, neutral_from=str(mesh)))

    def distance(track):
        face = head.regions["face"]
        found = head.neutral(track.identity)[face]
        return float(np.linalg.norm(found - neutral[face], axis=1).mean())

    assert distance(given) < 0.7 * distance(without)


def test_a_view_without_a_face_is_left_out_and_named(client, footage):
    _, _, folder = footage
    wall = np.full((SIDE, SIDE, 3), 90, np.uint8)
    encode_evenly(folder / "wall.mp4", [wall] * 6, RATE)
    both = views(folder, "wall.mp4", 0.0)
    reply = client.track(TrackJob(both, frames=(1, 4), options=UNPAINTED), files=("report.json",))
    assert [camera.name for camera in reply.take.cameras] == ["front"]
    assert "wall.mp4" in reply.take.report["warnings"][0]
    with pytest.raises(UserError, match=r"wall\.mp4") as caught:
        client.track(TrackJob(both[::-1], frames=(1, 4)))
    assert caught.value.code == "no_face" and "first" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"offset": 60.0}, "views_apart", "“side”"),
        ({"camera": CameraSpec((SIDE, SIDE // 2), 500.0)}, "calibration_image_size", "calibrated for 320 × 160"),
        ({"footage": "/nowhere.mp4"}, "footage_missing", "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_words(client, footage, fields, code, words):
    _, _, folder = footage
    first, second = views(folder)
    with pytest.raises(UserError, match=words) as caught:
        client.track(TrackJob((first, dataclasses.replace(second, **fields))))
    assert caught.value.code == code


def test_other_refusals(client, footage, tmp_path):
    _, _, folder = footage
    (tmp_path / "other.obj").write_text("v 0 0 0\nv 1 0 0\n")
    for fields, code in (
        ({"neutral_from": str(tmp_path / "gone.obj")}, "file_missing"),
        ({"neutral_from": str(tmp_path / "other.obj")}, "other_topology"),
        ({"neutral_from": "mica"}, "other_topology"),
        ({"options": {"deform_region": "elbow"}}, "bad_option"),
        ({"options": {"match_skin": "yes"}}, "bad_option"),
    ):
        with pytest.raises(UserError) as caught:
            client.track(TrackJob(views(folder), **fields))
        assert caught.value.code == code
