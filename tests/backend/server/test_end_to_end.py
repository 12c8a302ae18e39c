"""Real footage through a real server, worker, aligner and fit; and footage that cannot be tracked."""

from __future__ import annotations

import json
import threading

import av
import numpy as np
import pytest

from backend.alignment.registry import available_aligners
from backend.client.connection import Client
from backend.errors import UserError
from backend.head_model.library import load_head
from backend.observations.io import load_alignment
from backend.server.app import Server
from backend.track.io import load_track
from protocol.job import ExportJob, RefineJob
from protocol.messages import RESULT_FILES, FaceChoice, JobState, SolveOptions, TrackJob, ViewSpec
from tests.backend.server.conftest import REPOSITORY, running

pytestmark = pytest.mark.slow

UNPAINTED = SolveOptions(texture=False)  # where nothing is looked at of what takes as long as the rest

REPORT_FIELDS = {
    "frames",
    "frames_tracked",
    "reprojection_error_percent_iod",
    "focal_px",
    "seconds",
    "frames_per_second",
    "head",
    "aligner",
    "versions",
}


@pytest.fixture(scope="module")
def jobs_dir(tmp_path_factory):
    """The jobs folder that the module's server uses."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def client(jobs_dir):
    """A client of one server for the whole module: its worker loads torch and MediaPipe once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with running(Server(jobs_dir, "tcp://127.0.0.1:*")) as server, Client(server.endpoint) as connected:
            yield connected


def job(footage, **fields):
    return TrackJob((ViewSpec(str(footage)),), **fields)


@pytest.fixture(scope="module")
def tracked(client, shared_data):
    """A short real take: every status that was seen, and the reply."""
    seen = []
    spec = job(shared_data / "clips" / "pyfeat_single_face.mp4", frames=(11, 34))
    return seen, client.track(spec, seen.append, RESULT_FILES)


@pytest.fixture
def written(tracked, tmp_path):
    """The files that came with the reply, in a folder."""
    for name, data in tracked[1].files.items():
        (tmp_path / name).write_bytes(data.tobytes())
    return tmp_path


def test_a_real_clip_is_tracked_in_every_frame(tracked):
    take = tracked[1].take
    assert take.scene_frames.tolist() == list(range(11, 35))
    assert take.tracked.all()
    assert take.expression.shape == (24, len(take.head.expression_names))
    assert "skin" in take.head.part_names and "eyes" in take.head.part_names
    assert np.nanmean(take.reprojection_error_percent_iod) < 2.0
    camera = take.cameras[0]
    assert camera.image_size == (640, 360) and camera.footage.endswith("pyfeat_single_face.mp4")
    assert (take.head_translation[:, 2] > 0.1).all(), "the head is in front of the camera, metres away"


def test_progress_goes_through_both_stages_and_never_back(tracked):
    seen = tracked[0]
    stages = [s.stage for s in seen]
    assert stages.index("finding the face") < stages.index("fitting the head")
    fractions = [s.fraction for s in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    aligning = [s for s in seen if s.stage == "finding the face"]
    assert aligning[-1].frames_done == aligning[-1].frames_total == 24


def test_the_report_says_what_was_done(tracked, written):
    report = json.loads((written / "report.json").read_bytes())
    assert set(report) >= REPORT_FIELDS
    assert report["frames"] == report["frames_tracked"] == 24
    assert set(report["seconds"]) == {"decode", "align", "fit", "total", "texture"}
    assert report["seconds"]["total"] >= report["seconds"]["fit"]
    assert report["frames_per_second"] == pytest.approx(24 / report["seconds"]["total"], rel=0.01)
    assert 0 < report["reprojection_error_percent_iod"]["mean"] <= report["reprojection_error_percent_iod"]["p95"]
    assert tracked[1].take.report | {"others": []} == report  # those of further faces go with their heads


def test_the_track_file_and_the_take_are_the_same_performance(tracked, written):
    track, take = load_track(written / "track.npz"), tracked[1].take
    np.testing.assert_array_equal(track.expression, take.expression)
    np.testing.assert_array_equal(track.cameras[0].focal_px, take.cameras[0].focal_px)
    head = load_head("open")
    assert track.head_hash == head.hash
    assert take.head.own_vertices == head.vertex_count
    np.testing.assert_allclose(take.head.neutral[: head.vertex_count], head.neutral(track.identity))


def test_the_alignments_are_kept_and_their_chunks_are_not(tracked, written, jobs_dir):
    saved = load_alignment(written / "alignments.npz")
    assert saved.numbers.tolist() == list(range(11, 35)) and saved.found.all()
    names = {path.name for path in (jobs_dir / tracked[1].job.job_id).iterdir()}
    results = {"track.npz", "alignments.npz", "texture.png", "report.json"}
    assert names == results | {"spec.json", "state.json"}


def test_a_later_client_can_ask_for_the_result(client, tracked):
    with Client(client.endpoint) as later:
        reply = later.result(tracked[1].job.job_id)
    np.testing.assert_array_equal(reply.take.head_rotation, tracked[1].take.head_rotation)
    assert not reply.files


def test_the_heads_that_can_be_used_are_listed(client):
    heads = client.heads()
    (head,) = [h for h in heads.heads if h.id == "open"]
    assert head.expressions == 52 and head.vertices > 1000 and head.licence
    assert heads.aligner_infos == available_aligners() and heads.aligners[0] == "mediapipe"


@pytest.fixture
def faceless(tmp_path):
    """A clip in which nothing looks like a face."""
    path = tmp_path / "faceless.mp4"
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(6):
            image = np.kron(random.integers(0, 255, (15, 20, 3)), np.ones((16, 16, 1))).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def refusal(client, spec):
    """The one sentence (and hint) in which a job ends."""
    with pytest.raises(UserError) as caught:
        client.track(spec)
    assert "Traceback" not in str(caught.value) and caught.value.code != "internal"
    assert caught.value.message.count("\n") == 0 and caught.value.message.endswith(".")
    return caught.value


def test_a_missing_file_ends_in_a_sentence(client, tmp_path):
    error = refusal(client, job(tmp_path / "gone.mp4"))
    assert error.code == "footage_missing" and str(tmp_path / "gone.mp4") in error.message


def test_a_text_file_named_mp4_ends_in_a_sentence(client, tmp_path):
    (tmp_path / "notes.mp4").write_text("Dear diary, " * 100)
    error = refusal(client, job(tmp_path / "notes.mp4"))
    assert error.code == "footage_unreadable" and str(tmp_path / "notes.mp4") in error.message


def test_a_faceless_clip_ends_in_a_sentence(client, faceless):
    error = refusal(client, job(faceless))
    assert error.code == "no_face" and str(faceless) in error.message


def test_frames_outside_the_footage_end_in_a_sentence(client, faceless):
    assert refusal(client, job(faceless, frames=(100, 200))).code == "frames_out_of_range"


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"head": "nobody"}, "head_unknown", "nobody"),
        ({"aligner": "crystal ball"}, "unknown_aligner", "crystal ball"),
        ({"face": FaceChoice("point", point=(-900.0, -900.0))}, "face_not_chosen", ""),
    ],
)
def test_what_a_job_names_wrongly_is_named(client, shared_data, fields, code, word):
    error = refusal(client, job(shared_data / "clips" / "pyfeat_single_face.mp4", frames=(1, 3), **fields))
    assert error.code == code and word in error.message


def test_a_views_own_face_choice_counts(client, shared_data):
    clip = str(shared_data / "clips" / "intel_headpose_two_people.mp4")
    left, right = (FaceChoice("box", box=(x, 0.0, 240.0, 270.0)) for x in (0.0, 240.0))

    def seen_at(view):
        take = client.track(TrackJob((view,), frames=(1, 2), face=left, options=UNPAINTED)).take
        return take.cameras[0].focal_px * take.head_translation[:, 0] / take.head_translation[:, 2] + 240

    assert (seen_at(ViewSpec(clip)) < 240).all() and (seen_at(ViewSpec(clip, face=right)) > 240).all()


def test_all_faces_of_a_clip_are_heads_in_one_camera_and_each_is_exported(client, shared_data):
    clip = shared_data / "clips" / "intel_headpose_two_people.mp4"
    statuses = []
    reply = client.run(job(clip, frames=(1, 4), all_faces=True), statuses.append, all_files=True)
    fractions = [status.fraction for status in statuses]
    assert fractions == sorted(fractions), "neither the second head nor painting the first goes back"
    heads = [reply.take, *reply.take.others]
    assert len(heads) == 2 and all(head.tracked.all() for head in heads)
    np.testing.assert_array_equal(heads[0].cameras[0].focal_px, heads[1].cameras[0].focal_px)
    across = [head.cameras[0].focal_px * head.head_translation[:, 0] / head.head_translation[:, 2] for head in heads]
    assert np.abs(across[0] - across[1]).min() > 200, "two people, never the same one"
    assert np.abs(heads[0].head_translation[:, 2] - heads[1].head_translation[:, 2]).max() < 0.3, "at one wall"
    assert {"track.npz", "track_2.npz", "alignments_2.npz"} <= set(reply.files)
    other = heads[1].report
    assert other["name"] == "head 2" and other["options"] == heads[0].report["options"]
    exported = [
        next(iter(client.run(ExportJob(reply.job.job_id, "csv", face), all_files=True).files.values())).tobytes()
        for face in (1, 2)
    ]
    assert exported[0] != exported[1]
    for face, head in enumerate(heads, start=1):
        refined = client.run(RefineJob(reply.job.job_id, face=face), all_files=True)
        np.testing.assert_array_equal(refined.take.expression, head.expression)
        assert not refined.take.others and "head_number" not in refined.take.report
    with pytest.raises(UserError, match="no head 3"):
        client.run(ExportJob(reply.job.job_id, "csv", 3))


def test_a_focal_length_can_be_pinned(client, shared_data):
    clip = shared_data / "clips" / "pyfeat_single_face.mp4"
    take = client.track(job(clip, frames=(1, 4), options=SolveOptions(focal_px=777.0, texture=False))).take
    np.testing.assert_allclose(take.cameras[0].focal_px, [777.0] * 4)


def test_a_running_job_is_cancelled_and_the_next_one_runs(client, shared_data):
    long = client.submit(job(shared_data / "clips" / "lp_d10_expressive.mp4"))
    started = threading.Event()

    def cancel_once_it_runs(status):
        if status.frames_done > 3 and not started.is_set():
            started.set()
            client.cancel(long.job_id)

    assert client.wait(long.job_id, cancel_once_it_runs).state is JobState.CANCELLED
    assert started.is_set()
    short = job(shared_data / "clips" / "pyfeat_single_face.mp4", frames=(1, 3), options=UNPAINTED)
    assert client.track(short).job.state is JobState.DONE
