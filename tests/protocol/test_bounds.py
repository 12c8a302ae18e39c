"""Jobs that ask for what cannot be: refused in one sentence, the same for add-on and backend, or made whole."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import messages as m
from protocol.bounds import MAX_NAME, MAX_PATH, MAX_VIEWS
from protocol.codec import ProtocolError
from protocol.fields import from_plain, to_plain
from protocol.transfer import FacePoint, TransferJob

POSE = (1.0, 0.0, 0.0, 0.1, 0.0, 0.0, -1.0, 0.2, 0.0, 1.0, 0.0, 0.3)
CAMERA: dict[str, Any] = {"image_size": [640, 480], "focal_px": 800.0, "world_to_camera": list(POSE)}
JOBS = (
    m.TrackJob(
        (
            m.ViewSpec("/a.mp4", "a", 0.5, 25.0, m.CameraSpec((640, 480), 800.0, 1.0, None, (0.1, 0, 0, 0), POSE)),
            m.ViewSpec("/b/b_1.png", "b", files=("b_1.png", "b_2.png"), focal_mm=50.0, sensor_mm=36.0),
        ),
        name="n",
        frames=(1, 9),
        face=m.FaceChoice("box", box=(1.0, 2.0, 30.0, 40.0), frame=3),
        options=m.SolveOptions(focal_px=900.0, weights="/w.safetensors"),
        neutral_from="/n.obj",
        neutral_frames=(2, 3),
    ),
    m.RefineJob(
        "j",
        pins=(m.Pin("a", 1, 2, (1.0, 0.0, 0.0), (3.0, 4.0)),),
        masks=(m.Mask("a", (1, 2), ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))),),
        keys=(m.HeldKey(1, "action:jawOpen", (0.5,)),),
    ),
    m.ExportJob("j", "csv", name="e"),
    TransferJob("/m.obj", (FacePoint("chin", (0.0, 0.0, 0.0)),), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
)
STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, "", [], {}, [[[[1]]]], 1e-308, 1e308, -1e30, float("nan"), float("inf")),
    *(10**17, 10**400, "n" * 5000, "a\0b", "\ud800", "\n\x1b[31m", [1] * 70, {"kind": "track"}, "9" * 400),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


PLACES = [(number, place) for number, job in enumerate(JOBS) for place in _places(to_plain(job))]


def _with(job: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(job)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(PLACES), value=st.sampled_from(STRANGE) | st.floats() | st.integers() | st.text())
def test_any_strange_value_is_refused_in_words_or_makes_a_job_that_can_travel(place: Any, value: Any) -> None:
    number, path = place
    plain = json.loads(json.dumps(_with(to_plain(JOBS[number]), path, value)))
    try:
        job = from_plain(m.Job, plain, "spec")
    except ProtocolError as error:
        assert len(error.message) < 600 and not set(error.message) & set("\0\n\x1b")
        error.message.encode()
    else:
        kept = json.dumps(to_plain(job), ensure_ascii=False, allow_nan=False).encode()
        assert from_plain(m.Job, json.loads(kept), "spec") == job


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"focal_px": 1e308}, "focal length of 32 to 640,000 pixels"),
        ({"focal_px": 1e-308}, "focal length of 32 to 640,000 pixels"),
        ({"focal_ratio": 1e30}, "focal_ratio of 0.1 to 10"),
        ({"image_size": [1 << 40, 480]}, "image size of at most"),
        ({"principal_point": [1e30, 240]}, "principal_point near its image"),
        ({"distortion": [1e30, 0, 0, 0]}, "distortion that bends"),
        ({"distortion": [1e30, 0, 0, 0], "distortion_model": "fisheye"}, "distortion that bends"),
        ({"world_to_camera": [0.0] * 12}, "columns that are of length 1 and square"),
        ({"world_to_camera": [1e308] * 12}, "columns that are of length 1 and square"),
        ({"world_to_camera": [2 * number for number in POSE]}, "columns that are of length 1 and square"),
        ({"world_to_camera": [-1.0, 0, 0, 0, *POSE[4:]]}, "does not mirror the world"),
        ({"world_to_camera": [1.0, 0, 0, 1e30, *POSE[4:]]}, "translation in world_to_camera"),
    ],
)
def test_a_camera_that_no_lens_and_no_place_has_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        from_plain(m.CameraSpec, CAMERA | fields, "camera")


@pytest.mark.parametrize(
    "fields",
    [
        {"focal_px": 150.0, "distortion_model": "fisheye", "distortion": [-0.02, 0.004, -0.002, 0.0005]},
        {"focal_px": 90_000.0, "distortion": [3.0, -900.0, 0.0, 0.0, 80_000.0]},  # overfit, of a telephoto lens
        {"distortion": [27.1, -212.0, 0.001, 0.002, 830.0, 27.0, -210.0, 820.0]},  # rational, of terms that cancel
        {"principal_point": [-900.0, 2000.0], "focal_ratio": 2.0},  # cropped, anamorphic
        {"world_to_camera": [round(number, 3) for number in POSE]},
    ],
)
def test_lenses_that_calibrations_really_have_are_taken(fields: dict[str, Any]) -> None:
    from_plain(m.CameraSpec, CAMERA | fields, "camera")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("name",), "n" * (MAX_NAME + 1), "job.name"),
        (("name",), "n" * 400_000, "at most 200 characters, not 400000"),
        (("head",), "n" * 300, "job.head"),
        (("views", 0, "name"), "\ud800", "view.name"),
        (("views", 0, "footage"), "/" * (MAX_PATH + 1), "at most 4096 characters"),
        (("views", 0, "footage"), "/\ud800.mp4", "characters of Unicode"),
        (("views", 1, "files"), ["a\0"], "view.files"),
        (("views", 1, "files"), ["a"] * 100_001, "name their folder instead"),
        (("views", 0, "offset"), 1e308, "view.offset"),
        (("views", 0, "frame_rate"), 1e-300, "view.frame_rate"),
        (("views", 0, "frame_rate"), 1e300, "view.frame_rate"),
        (("views", 1, "focal_mm"), 0.2, "view.focal_mm.*times the sensor"),
        (("neutral_from",), "n" * 5000, "job.neutral_from"),
        (("options", "focal_px"), 1e-308, "options.focal_px"),
        (("options", "weights"), "w" * 5000, "options.weights"),
        (("face", "box"), [0, 0, 1e30, 1], "pixels that a picture has"),
        (("face", "box"), [0, 0, 0, 1], "width and a height"),
        (("face", "frame"), 10**18, "face.frame"),
        (("frames",), [10**400, 1], "frames"),
    ],
)
def test_what_no_job_may_ask_is_named(place: tuple[Any, ...], value: Any, named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        from_plain(m.Job, _with(to_plain(JOBS[0]), place, value), "job")


def test_a_take_has_a_bounded_number_of_views() -> None:
    views = tuple(m.ViewSpec(f"/{number}.mp4") for number in range(MAX_VIEWS + 1))
    assert len(m.TrackJob(views[:-1]).views) == MAX_VIEWS
    with pytest.raises(ProtocolError, match=f"{MAX_VIEWS} at most"):
        m.TrackJob(views)
