"""The job that the command line's options become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.client.cli import parse_faces, parse_further_faces, parse_lenses, parse_offsets
from backend.client.photographs_cli import photographs
from backend.client.request import TrackRequest, job_spec, view_names
from backend.errors import UserError
from backend.files import file_name
from protocol.messages import FaceChoice, SolveOptions, ViewSpec


def request(*footage, **fields):
    return TrackRequest(tuple(map(Path, footage)), Path("out"), **fields)


def test_one_piece_of_footage_is_the_job_it_always_was():
    spec = job_spec(request("/clips/a.mp4", frames=(3, 9), faces={"": (1.0, 2.0, 3.0, 4.0)}))
    assert spec.views == (ViewSpec("/clips/a.mp4", "camera"),)
    assert spec.frames == (3, 9) and spec.face == FaceChoice("box", box=(1.0, 2.0, 3.0, 4.0))
    assert spec.options == SolveOptions() and spec.metric_cameras and spec.neutral_from == ""


def test_neutral_frames_and_a_picture_of_the_neutral_reach_the_job():
    spec = job_spec(request("/clips/a.mp4", neutral=Path("/clips/calm.jpg"), neutral_frames=(12, 20)))
    assert (spec.neutral_from, spec.neutral_frames) == ("/clips/calm.jpg", (12, 20))
    assert spec.neutral_file == "/clips/calm.jpg"


def test_a_predictors_name_is_no_file():
    spec = job_spec(request("/clips/a.mp4", neutral=Path("mica")))
    assert (spec.neutral_from, spec.neutral_file) == ("mica", "")
    assert job_spec(request("/clips/a.mp4", neutral=Path("clips/mica"))).neutral_file.endswith("/clips/mica")


def test_views_are_called_as_their_files():
    assert view_names(["/x/left.mp4", "/x/right.mp4"]) == ["left", "right"]
    assert view_names(["/left/take.mp4", "/right/take.mp4"]) == ["left take", "right take"]
    assert view_names(["/a/take.mp4", "/a/take.mp4"]) == ["camera 1", "camera 2"]
    assert file_name("cam A/ä [1]:x") == "cam_A_ä_1_x"
    assert file_name("…") == file_name("///") == "camera"


def test_offsets_are_given_by_name_or_number():
    assert parse_offsets(["left=0.5", "3=-2", " a=b =1e-3"]) == {"left": 0.5, "3": -2.0, "a=b": 0.001}
    footage = ("/x/left.mp4", "/x/right.mp4", "/x/top.mp4")
    spec = job_spec(request(*footage, offsets={"right": 0.5, "3": -2.0}))
    assert [view.offset for view in spec.views] == [0.0, 0.5, -2.0]
    for wrong in ({"4": 1.0}, {"0": 1.0}, {"middle": 1.0}):
        with pytest.raises(UserError, match="There is no view") as caught:
            job_spec(request(*footage, offsets=wrong))
        assert caught.value.code == "unknown_view" and "left" in caught.value.message


def test_lenses_are_given_for_all_views_or_by_name():
    footage = ("/x/left.mp4", "/x/right.mp4", "/x/top.mp4")
    lenses = {
        "focal_mm": parse_lenses(["35", "right=50"], "--focal-mm", "MM"),
        "sensor_mm": parse_lenses(["2=23.5"], "--sensor-mm", "MM"),
        "principal_points": parse_lenses(["top=900,500.5"], "--principal-point", "X,Y", 2),
    }
    views = job_spec(request(*footage, **lenses)).views
    assert [view.focal_mm for view in views] == [35.0, 50.0, 35.0]
    assert [view.sensor_mm for view in views] == [None, 23.5, None]
    assert [view.principal_point for view in views] == [None, None, (900.0, 500.5)]


@pytest.mark.parametrize(
    ("lenses", "sentence"),
    [
        ({"sensor_mm": {"": (36.0,)}}, "means nothing without a --focal-mm"),
        ({"focal_mm": {"": (-3.0,)}}, "mm was expected"),
        ({"focal_mm": {"": (35.0,)}, "options": SolveOptions(focal_px=900)}, "both give a focal length"),
        ({"focal_mm": {"left": (35.0,)}}, "no view “left”"),
    ],
)
def test_lenses_that_make_no_sense_are_refused(lenses, sentence):
    with pytest.raises(UserError, match=sentence):
        job_spec(request("/x/a.mp4", **lenses))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"focal_mm": ["wide"]}, "“wide” is no value of --focal-mm: expected [PHOTOGRAPH=]MM."),
        ({"focal_mm": ["c=35"]}, "There is no photograph “c”; there is a, b."),
        ({"focal_mm": ["a=0"]}, "A lens of the photograph “a” of 0.1 to 100000 mm was expected."),
        ({"sensor_mm": ["2=36"]}, "--sensor-mm means nothing without a --focal-mm of the photograph “b”."),
        ({"face": ["d=1,2,3,4"]}, "There is no photograph “d”; there is a, b."),
        ({"face": ["b=1,2,3,4", "2=5,6,7,8"]}, "Several faces of one photograph were named."),
    ],
)
def test_what_is_wrong_with_photographs_is_told_of_photographs(options, sentence, tmp_path):
    with pytest.raises(UserError) as caught:
        photographs(stills=[Path("/x/a.jpg"), Path("/x/b.jpg")], out=tmp_path / "out", **options)
    assert caught.value.message == sentence
    assert "view" not in caught.value.hint and not (tmp_path / "out").exists()


def test_a_lone_photograph_is_called_as_its_file_and_its_camera_as_ever():
    spec = job_spec(request("/x/me.jpg", photographs=True, faces={"me": (1.0, 2.0, 3.0, 4.0)}))
    assert spec.views[0].name == "camera" and spec.face == FaceChoice("box", box=(1.0, 2.0, 3.0, 4.0))


@pytest.mark.parametrize("text", ["wide", "left=", "35,36", "nan", "inf"])
def test_what_is_no_lens_is_refused(text):
    with pytest.raises(UserError, match="no value of --focal-mm") as caught:
        parse_lenses([text], "--focal-mm", "MM")
    assert caught.value.code == "bad_lens"


def test_a_lens_beside_a_calibration_that_has_it_is_refused(tmp_path):
    file = tmp_path / "a.json"
    camera = {"image_width": 640, "image_height": 480, "camera_matrix": [[600, 0, 320], [0, 600, 240], [0, 0, 1]]}
    file.write_text(json.dumps({"cameras": {"a": camera}}))
    for lens in ({"focal_mm": {"": (35.0,)}}, {"principal_points": {"": (3.0, 4.0)}}):
        with pytest.raises(UserError, match="in the calibration already"):
            job_spec(request("/x/a.mp4", calibration=(file,), **lens))


def test_the_face_can_be_chosen_in_every_view():
    faces = parse_faces(["1,2,3,4", "right=5,6,7,8"])
    spec = job_spec(request("/x/left.mp4", "/x/right.mp4", "/x/top.mp4", faces=faces))
    assert spec.face == FaceChoice("box", box=(1.0, 2.0, 3.0, 4.0))
    assert [view.face for view in spec.views] == [None, FaceChoice("box", box=(5.0, 6.0, 7.0, 8.0)), None]
    assert job_spec(request("/x/left.mp4", faces=parse_faces(["1=1,2,3,4"]))).face == spec.face


@pytest.mark.parametrize("text", ["1.5", "=1.5", "left=", "left=x", "left=nan", "left=inf"])
def test_what_is_no_offset_is_refused(text):
    with pytest.raises(UserError, match="no offset"):
        parse_offsets([text])


def test_deform_and_neutral():
    for options in (SolveOptions(deform_region="face"), SolveOptions(deform_region=""), SolveOptions(match_skin=False)):
        assert job_spec(request("a.mp4", options=options)).options == options
    assert Path(job_spec(request("a.mp4", neutral=Path("her.obj"))).neutral_from).is_absolute()


def test_the_aligner_and_its_weights_reach_the_job():
    assert job_spec(request("a.mp4")).aligner == "mediapipe"
    spec = job_spec(request("a.mp4", aligner="flowface", options=SolveOptions(weights="mine.safetensors", focal_px=9)))
    assert spec.aligner == "flowface" and spec.options.focal_px == 9.0
    assert Path(spec.options.weights).is_absolute() and spec.options.weights.endswith("mine.safetensors")
    with pytest.raises(UserError, match="no aligner “dlib”") as caught:
        job_spec(request("a.mp4", aligner="dlib"))
    assert caught.value.code == "unknown_aligner"
    with pytest.raises(UserError, match="takes no weights"):
        job_spec(request("a.mp4", options=SolveOptions(weights="mine.safetensors")))


def test_a_calibration_reaches_the_views_it_names(tmp_path):
    matrix = [[500, 0, 32], [0, 500, 24], [0, 0, 1]]
    camera = {"K": matrix, "width": 64, "height": 48, "R": [0, 0, 0], "t": [0, 0, 250]}
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"cameras": {"right": camera, "left": {**camera, "t": [100, 0, 250]}}}))
    footage = ("/x/left.mp4", "/x/right.mp4")
    spec = job_spec(request(*footage, calibration=(path,)))
    assert not spec.metric_cameras
    assert [view.camera.world_to_camera[3] for view in spec.views] == [100, 0]
    in_metres = job_spec(request(*footage, calibration=(path,), calibration_unit="mm"))
    assert in_metres.metric_cameras
    assert in_metres.views[0].camera.world_to_camera[3::4] == (0.1, 0.0, 0.25)
    with pytest.raises(UserError, match="top"):
        job_spec(request(*footage, "/x/top.mp4", calibration=(path,)))


def test_several_boxes_of_one_view_are_further_faces():
    texts = ["1,2,3,4", "5,6,7,8", "1=9,8,7,6"]
    spec = job_spec(request("/x/a.mp4", faces=parse_faces(texts), further_faces=parse_further_faces(texts)))
    assert spec.face.box == (1, 2, 3, 4) and [face.box for face in spec.faces] == [(9, 8, 7, 6), (5, 6, 7, 8)]
    assert job_spec(request("/x/a.mp4", all_faces=True)).all_faces
    with pytest.raises(UserError, match="one camera only"):
        job_spec(request("/x/a.mp4", "/x/b.mp4", all_faces=True))
    texts = ["b=1,2,3,4", "b=5,6,7,8"]
    with pytest.raises(UserError, match="one camera only"):
        job_spec(request("/x/a.mp4", "/x/b.mp4", faces=parse_faces(texts), further_faces=parse_further_faces(texts)))
