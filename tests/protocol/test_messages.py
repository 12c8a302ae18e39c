"""Every message crosses the wire, and peers of another age or of ill will get a clear refusal."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import messages as m
from protocol.codec import ProtocolError, decode, encode
from protocol.fields import from_plain
from protocol.version import OLDEST_VERSION, PROTOCOL_VERSION
from tests.protocol.takes import small_take

JOB = m.JobStatus(
    "j1", "take", m.JobState.FAILED, "fit", 0.5, 3, 9, 1.5, 2.0, 0, "/a.mp4", "2026", m.Problem("c", "Bad.", "Mend.")
)
SPEC = m.TrackJob(
    views=(
        m.ViewSpec("/clips/ä b.mp4", camera=m.CameraSpec((640, 480)), face=m.FaceChoice("point", point=(1.0, 2.0))),
        m.ViewSpec(
            *("/b.mp4", "left", -0.25, 29.97),
            m.CameraSpec(
                (640, 480),
                800.5,
                1.01,
                (320.0, 241.5),
                (0.1, -0.02, 0.0, 0.001),
                (0.0, -1.0, 0.0, 0.1, 1.0, 0.0, 0.0, 0.2, 0.0, 0.0, 1.0, 0.3),
            ),
        ),
    ),
    name="n",
    frames=(5, 20),
    face=m.FaceChoice("box", box=(1.0, 2.0, 3.0, 4.5)),
    options=m.SolveOptions(focal_px=812.5, deform_region="", weights="/nets/mine.safetensors", match_skin=False),
    metric_cameras=False,
    neutral_from="/people/her neutral.obj",
    neutral_frames=(12, 20),
)
EXAMPLES = [
    m.Hello("add-on", "0.1.0"),
    m.Welcome("0.1.0", 12, m.WorkerState.READY, "cpu", ("hello",), ("track", "refine")),
    m.Heads(),
    m.HeadList(
        (m.HeadInfo("open", "d", "CC0", 5201, 52),),
        ("mediapipe",),
        (m.AlignerInfo("mediapipe", "MediaPipe", "faces", "fast", takes_weights=False),),
        (m.ExportInfo("csv", "Table", ".csv", "numbers"),),
        (m.WeightsInfo("ana", "adapted to a.mp4"),),
    ),
    m.Submit(SPEC),
    m.Submit(m.TrackJob((m.ViewSpec("a"),), face=m.FaceChoice("point", point=(3.0, 4.0))), subscribe=False),
    m.Submit(m.ExportJob("20260101-000000-01234567", "csv", name="n")),
    m.Submitted(JOB),
    m.Status("j1", subscribe=True),
    m.StatusReply(JOB),
    m.Progress(dataclasses.replace(JOB, problem=None, seconds_remaining=None)),
    m.Result("j1", ("track.npz",)),
    m.Result("j1", all_files=True, cut=False),
    m.Cancel("j1"),
    m.Jobs(),
    m.JobList((JOB, JOB)),
    m.UploadStart("0" * 64, 3),
    m.UploadState("0" * 64, 1, 3),
    m.Storage(),
    m.Prune(5_000_000_000),
    m.StorageReply("/jobs", 3, 12_345, 10**12, 1),
    m.Remove("j1"),
    m.Removed("j1"),
    m.Shutdown(),
    m.Goodbye(),
    m.Error("code", "Sentence.", "Hint."),
]


def header(**fields):
    return [msgpack.packb({"type": "hello", "protocol": PROTOCOL_VERSION, "request": 3} | fields)]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message.TYPE)
def test_round_trip(message):
    assert m.unpack([bytes(frame) for frame in m.pack(message, 41)]) == (message, 41)


def test_every_message_type_has_an_example():
    assert {type(e).TYPE for e in EXAMPLES} | {m.ResultReply.TYPE, m.UploadChunk.TYPE} == set(m.MESSAGES)


def test_a_state_travels_as_its_plain_word_and_an_unknown_one_is_refused():
    frames = m.pack(m.Progress(JOB), 1)
    plain = msgpack.unpackb(frames[0])
    assert plain["job"]["state"] == "failed" and m.unpack(frames)[0].job.state is m.JobState.FAILED
    plain["job"]["state"] = "asleep"
    with pytest.raises(ProtocolError, match=r"progress\.job\.state.*queued, running") as caught:
        m.unpack([msgpack.packb(plain)])
    assert (caught.value.code, caught.value.request) == ("bad_field", 1)


@pytest.mark.parametrize("state", m.JobState)
def test_only_a_job_that_waits_or_runs_is_unfinished(state):
    unfinished = state in (m.JobState.QUEUED, m.JobState.RUNNING)
    assert m.JobStatus("j", "n", state).finished is not unfinished


def test_result_reply_brings_take_and_files():
    data = np.frombuffer(b"PK\3\4 not really", np.uint8)
    frames = m.pack(m.ResultReply(JOB, small_take(), {"track.npz": data}), 9)
    reply, request = m.unpack([bytes(frame) for frame in frames])
    assert request == 9 and reply.job == JOB and reply.files["track.npz"].tobytes() == data.tobytes()
    np.testing.assert_array_equal(reply.take.expression, small_take().expression)


def test_a_result_may_have_no_take():
    reply, _ = m.unpack([bytes(f) for f in m.pack(m.ResultReply(JOB, files={"a.csv": np.zeros(3, np.uint8)}), 9)])
    assert reply.take is None and reply.files["a.csv"].tobytes() == bytes(3)


def test_a_job_that_says_no_kind_is_a_take_to_track():
    fields, _ = m.Submit(SPEC).to_wire()
    assert fields["job"].pop("kind") == "track"
    sent = encode({**fields, "type": "submit", "protocol": PROTOCOL_VERSION, "request": 1})
    assert m.unpack(sent)[0] == m.Submit(SPEC)


@pytest.mark.parametrize("kind", ["dance", 3, None, ["track"]])
def test_an_unknown_kind_of_job_is_named(kind):
    fields, _ = m.Submit(SPEC).to_wire()
    fields["job"]["kind"] = kind
    with pytest.raises(ProtocolError, match="that nobody here knows") as caught:
        m.unpack(encode({**fields, "type": "submit", "protocol": PROTOCOL_VERSION, "request": 1}))
    assert (caught.value.code, caught.value.request) == ("unknown_kind", 1)


def test_a_job_of_one_kind_is_not_read_as_another():
    with pytest.raises(ProtocolError, match="“track”"):
        from_plain(m.ExportJob, m.Submit(SPEC).to_wire()[0]["job"], "job")


def test_aligners_of_an_older_backend_have_their_names_only():
    assert m.HeadList((), ("mediapipe",)).described_aligners == (m.AlignerInfo("mediapipe"),)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"image_size": [0, 480]}, "image size"),
        ({"focal_px": -1.0}, "focal length"),
        ({"focal_ratio": 0.0}, "focal_ratio"),
        ({"focal_px": 500.0, "distortion": [0.1, 0.2]}, "distortion"),
        ({"focal_px": 500.0, "distortion": [0.1] * 5, "distortion_model": "fisheye"}, "4 of a fisheye"),
        ({"focal_px": 500.0, "distortion_model": "fisheye"}, "4 of a fisheye"),
        ({"distortion": [0.0] * 4, "distortion_model": "fisheye"}, "focal length with its distortion"),
        ({"distortion_model": "omni"}, "distortion_model” must be one of brown-conrady, fisheye"),
        ({"distortion": [0.1, 0, 0, 0]}, "focal length with its distortion"),
        ({"world_to_camera": [1.0] * 11}, "world_to_camera"),
        ({"principal_point": [1.0, float("nan")]}, "principal_point"),
        ({"image_size": None}, "image_size"),
    ],
)
def test_a_camera_that_cannot_be_is_refused_by_name(fields, named):
    message, _ = m.Submit(SPEC).to_wire()
    message["job"]["views"][1]["camera"] = {"image_size": [640, 480]} | fields
    with pytest.raises(ProtocolError, match=named):
        m.unpack(encode({**message, "type": "submit", "protocol": PROTOCOL_VERSION, "request": 1}))


def test_unknown_fields_are_ignored_at_every_level():
    fields, _ = m.Submit(SPEC).to_wire()
    fields["future"] = 1
    fields["job"]["views"][0]["upload"] = "abc"
    assert m.unpack(encode({**fields, "type": "submit", "protocol": PROTOCOL_VERSION, "request": 1}))[0] == m.Submit(
        SPEC
    )


def test_unknown_type_is_named_and_answerable():
    with pytest.raises(ProtocolError, match="“preview”") as caught:
        m.unpack(header(type="preview"))
    assert (caught.value.code, caught.value.request) == ("unknown_type", 3)


@pytest.mark.parametrize(
    ("backend", "advice"), [(PROTOCOL_VERSION + 1, "update the add-on."), (OLDEST_VERSION - 1, "update the backend.")]
)
def test_client_names_another_version_of_the_backend(backend, advice):
    with pytest.raises(ProtocolError) as caught:
        m.unpack(header(type="welcome", protocol=backend), client_name="add-on")
    sentence = f"This add-on speaks protocol {PROTOCOL_VERSION}, the backend speaks {backend}: {advice}"
    assert (caught.value.code, caught.value.message) == ("wrong_protocol", sentence)


def test_backend_names_another_version_of_the_client():
    with pytest.raises(ProtocolError) as caught:
        m.unpack(header(protocol=PROTOCOL_VERSION + 1, client="add-on"))
    theirs = PROTOCOL_VERSION + 1
    sentence = f"This add-on speaks protocol {theirs}, the backend speaks {PROTOCOL_VERSION}: update the backend."
    assert (caught.value.message, caught.value.request) == (sentence, 3)


def test_an_error_of_another_version_is_still_read():
    frames = header(type="error", protocol=99, code="wrong_protocol", message="Update.")
    assert m.unpack(frames, client_name="add-on")[0] == m.Error("wrong_protocol", "Update.")


@pytest.mark.parametrize(
    ("message", "path", "value", "named"),
    [
        (m.Status("j"), ("job_id",), 3, "status.job_id"),
        (m.Status("j"), ("subscribe",), 1, "status.subscribe"),
        (m.Submit(SPEC), ("job", "views"), [], "job.views"),
        (m.Submit(SPEC), ("job", "views"), "a.mp4", "submit.job.views"),
        (m.Submit(SPEC), ("job", "views", 0, "footage"), "a\0.mp4", "view.footage"),
        (m.Submit(SPEC), ("job", "views", 1, "footage"), None, r"submit.job.views\[1\].footage"),
        (m.Submit(SPEC), ("job", "frames"), [9, 3], "9:3"),
        (m.Submit(SPEC), ("job", "frames"), [1], "submit.job.frames"),
        (m.Submit(SPEC), ("job", "frames"), [0, 2**40], "0:1099511627776"),
        (m.Submit(SPEC), ("job", "face"), {"kind": "point"}, "face"),
        (m.Submit(SPEC), ("job", "face", "box"), [1, 2, 3, float("nan")], r"submit.job.face.box\[3\]"),
        (m.Submit(SPEC), ("job", "options"), [1], "submit.job.options"),
    ],
)
def test_a_wrong_field_is_named(message, path, value, named):
    fields, _ = message.to_wire()
    target = fields
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ProtocolError, match=named) as caught:
        m.unpack(encode({**fields, "type": message.TYPE, "protocol": PROTOCOL_VERSION, "request": 5}))
    assert (caught.value.code, caught.value.request) == ("bad_field", 5)


def test_a_missing_field_is_named():
    with pytest.raises(ProtocolError, match=r"status\.job_id.* is missing"):
        m.unpack(header(type="status"))


@pytest.mark.parametrize("request_id", [None, "7", -1, True, 2**63])
def test_a_message_without_a_usable_request_id_is_refused(request_id):
    with pytest.raises(ProtocolError, match="request id"):
        m.unpack(header(request=request_id))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_messages_with_any_field_replaced_only_raise_protocol_error(message, data):
    fields, _ = decode(m.pack(message, 1))
    target = fields
    for _ in range(data.draw(st.integers(0, 3))):
        inner = [v for v in target.values() if isinstance(v, dict) and v]
        target = data.draw(st.sampled_from(inner)) if inner else target
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
    try:
        m.unpack(encode(fields))
    except ProtocolError as error:
        assert error.message.endswith(".")


def test_the_package_needs_nothing_but_msgpack_and_numpy():
    code = (
        "import sys, protocol.messages\n"
        "top = {n.split('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(n for n in top if n in {'torch','cv2','zmq','bpy','scipy','backend','mediapipe'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
