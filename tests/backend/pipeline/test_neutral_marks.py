"""Marks of neutral frames, and a picture of the neutral: used, or refused in one sentence."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
from backend.errors import UserError
from backend.fitting.neutral import AtRest
from backend.head_model import render
from backend.head_model.appearance import default_colors
from backend.head_model.library import load_head
from backend.pipeline.neutral_marks import at_rest_report, marked_numbers, require_marks_within
from backend.pipeline.neutral_prior import predicted_neutral, predictor_for
from protocol.messages import TrackJob, ViewSpec
from tests.backend.fitting.made_takes import Seen, performance, view

INFO = SimpleNamespace(first_frame=1, last_frame=90)


def job(marks, frames=None):
    return TrackJob((ViewSpec("clip.mp4"),), frames=frames, neutral_frames=marks)


@pytest.mark.parametrize("marks", [(1, 1), (80, 200), (12, 20)])
def test_marks_that_touch_the_take_are_fine(marks):
    require_marks_within(job(marks), INFO)
    require_marks_within(job(None), INFO)


@pytest.mark.parametrize(
    ("marks", "frames", "said"),
    [
        ((91, 95), None, "The neutral frames 91 to 95 are outside the frames that are tracked, 1 to 90."),
        ((0, 0), None, "The neutral frame 0 is outside the frames that are tracked, 1 to 90."),
        ((5, 9), (10, 20), "The neutral frames 5 to 9 are outside the frames that are tracked, 10 to 20."),
    ],
)
def test_marks_outside_the_take_are_refused(marks, frames, said):
    with pytest.raises(UserError) as caught:
        require_marks_within(job(marks, frames), INFO)
    assert (caught.value.code, caught.value.message) == ("neutral_outside", said)


def test_only_marked_frames_with_a_face_count():
    hidden = np.zeros((8, 478), bool)
    hidden[3:6] = True
    seen = view(performance(8), Seen(hidden=hidden)).alignment
    assert marked_numbers(job(None), seen) == ()
    assert marked_numbers(job((3, 7)), seen) == (3, 7)
    with pytest.raises(UserError, match="the frames 4 to 6 are without one") as caught:
        marked_numbers(job((4, 6)), seen)
    assert caught.value.code == "no_face"


def test_the_report_names_the_frames():
    assert at_rest_report(None) == {"frames": [], "marked": False}
    report = at_rest_report(AtRest((3, 4, 5, 9, 20, 21), marked=True))
    assert report == {"frames": [[3, 5], [9, 9], [20, 21]], "marked": True}


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_a_picture_of_the_neutral_tells_whose_it_is(head, tmp_path):
    """A broad head and a narrow one, drawn: each picture's neutral is nearer to its own."""
    aligner = find_aligner(DEFAULT_ALIGNER, head)
    people, told = [], []
    for side in (-2.0, 2.0):
        person = head.neutral(np.array([0.0, side, side], np.float32))
        with render.HeadRenderer((512, 512)) as renderer:
            picture = renderer.render(
                person,
                head.triangles,
                default_colors(head),
                focal_px=1100.0,
                principal_point=(256.0, 256.0),
                world_to_camera=render.look_at_head(0.75, target=(0.0, -0.035, -0.02)),
            )
        path = tmp_path / f"{side}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        people.append(person)
        told.append(predicted_neutral(predictor_for(str(path), aligner), head))
    face = head.regions["face"]
    apart = [[np.linalg.norm((one - other)[face] - (one - other)[face].mean(0)) for other in people] for one in told]
    assert apart[0][0] < apart[0][1] and apart[1][1] < apart[1][0]


def test_a_picture_without_a_face_is_refused(head, tmp_path):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), np.full((128, 128, 3), 90, np.uint8))
    with pytest.raises(UserError, match="No face") as caught:
        predicted_neutral(predictor_for(str(path), find_aligner(DEFAULT_ALIGNER, head)), head)
    assert caught.value.code == "no_face"
