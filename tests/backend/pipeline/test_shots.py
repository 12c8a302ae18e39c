"""Cuts and faces that are upside down, from footage to track, report and warnings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from skimage import data

from backend.observations import PointSet, Shot, ViewAlignment
from backend.pipeline.shots import shot_warnings, shots_report
from backend.pipeline.track_job import run_job
from backend.track.types import Track
from protocol.messages import SolveOptions, TrackJob, ViewSpec
from tests.backend.alignment.shots import coffee, pan, portrait
from tests.backend.footage.clips import write_video


def alignment(shots: list[Shot], tracked: int, roll: float = 0.0) -> ViewAlignment:
    """An alignment of these shots, with a face in one of them."""
    count = sum(shot.last_frame - shot.first_frame + 1 for shot in shots)
    numbers = np.concatenate([np.full(shot.last_frame - shot.first_frame + 1, n) for n, shot in enumerate(shots)])
    points = PointSet.of(
        "some",
        np.zeros((count, 7, 2), np.float32),
        np.ones((count, 7), np.float32),
        seen := (np.repeat((numbers == tracked)[:, None], 7, axis=1)),
    )
    made = ViewAlignment.of(points, image_size=(100, 100))
    made.shot_numbers[:] = numbers
    made.boxes[seen[:, 0], 5] = roll
    return made


def test_a_cut_is_said_with_the_ranges() -> None:
    made = alignment([Shot(1, 47), Shot(48, 102), Shot(103, 150)], 0)
    assert shot_warnings(made, "The footage", "clip.mp4") == [
        "The footage cuts at frames 48 and 103: tracked 1–47; 48–102 and 103–150 are other shots: choose frames 48:102 "
        "to track the first of them."
    ]
    assert shots_report(made) == [
        {"first_frame": 1, "last_frame": 47, "tracked": True},
        {"first_frame": 48, "last_frame": 102, "tracked": False},
        {"first_frame": 103, "last_frame": 150, "tracked": False},
    ]


def test_many_cuts_are_said_in_a_sentence_that_can_be_read() -> None:
    made = alignment([Shot(10 * n + 1, 10 * n + 10) for n in range(30)], 1)
    [sentence] = shot_warnings(made, "The footage of “left”", "“left”")
    assert sentence.startswith(
        "The footage of “left” cuts at frames 11, 21, 31, 41, 51 and 24 more: tracked 11–20; 1–10,"
    )
    assert len(sentence) < 250


def test_footage_without_cuts_is_not_spoken_of() -> None:
    assert shot_warnings(alignment([Shot(1, 20)], 0), "The footage", "clip.mp4") == []
    assert shot_warnings(alignment([Shot(1, 20), Shot(21, 30)], -1), "The footage", "clip.mp4") == []


def test_a_face_on_its_head_is_said() -> None:
    made = alignment([Shot(1, 20)], 0, roll=-3.0)
    assert shot_warnings(made, "The footage", "clip.mp4") == [
        "The face is upside down in clip.mp4; it is tracked turned by 180°."
    ]
    assert shot_warnings(alignment([Shot(1, 20)], 0, roll=1.0), "The footage", "clip.mp4") == []


def tracked(path: Path, folder: Path) -> Track:
    folder.mkdir()
    spec = TrackJob(views=(ViewSpec(footage=str(path)),), options=SolveOptions(texture=False))
    return run_job(spec, folder, on_progress=lambda _: None, should_cancel=lambda: False)[0]


@pytest.mark.slow
def test_an_upside_down_clip_is_fitted_as_the_upright_one(tmp_path: Path) -> None:
    pictures = pan(data.astronaut()[:400, 60:460], 6, step=0.01)
    options = {"crf": "8"}
    upright = write_video(tmp_path / "upright.mp4", pictures, options=options)
    over = write_video(tmp_path / "over.mp4", [np.ascontiguousarray(p[::-1, ::-1]) for p in pictures], options=options)
    right, turned = tracked(upright, tmp_path / "a"), tracked(over, tmp_path / "b")
    about_the_lens = Rotation.from_euler("z", 180, degrees=True)
    expected = about_the_lens * Rotation.from_rotvec(right.head_rotation)
    apart = (Rotation.from_rotvec(turned.head_rotation) * expected.inv()).magnitude()
    assert np.rad2deg(apart).max() < 2
    assert turned.reprojection_error_percent_iod.max() < 1.3 * right.reprojection_error_percent_iod.max()
    said = json.loads((tmp_path / "b" / "report.json").read_text())["warnings"]
    assert any("upside down in over.mp4" in sentence for sentence in said)
    assert json.loads((tmp_path / "a" / "report.json").read_text())["warnings"] == []


@pytest.mark.slow
def test_a_track_ends_at_the_cut_and_the_report_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", [*portrait(9), *coffee(8)], options={"crf": "8"})
    track = tracked(path, tmp_path / "job")
    np.testing.assert_array_equal(track.tracked, [True] * 9 + [False] * 8)
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    assert report["frames_tracked"] == 9
    assert report["views"][0]["shots"] == [
        {"first_frame": 1, "last_frame": 9, "tracked": True},
        {"first_frame": 10, "last_frame": 17, "tracked": False},
    ]
    assert report["warnings"] == [
        "The footage cuts at frame 10: tracked 1–9; 10–17 is another shot: choose frames 10:17 to track it."
    ]
