"""What the panel says in each state, and footage that is in the file already."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from blender_addon import action_slots, building, footage_paths, grades, retention, session, settings
from blender_addon.active_job import time_left
from blender_addon.compat import LAYERED_ACTIONS
from blender_addon.panels.jobs import facts_of, icon_of, local_time, sentence_of, words_of
from blender_addon.panels.main import _progress_text
from protocol import messages as m

from .scene.test_build import Shot, make_take
from .takes import write_clip

pytestmark = [
    pytest.mark.usefixtures("addon"),
    pytest.mark.filterwarnings("error:.*blend relative.*:RuntimeWarning"),  # a path that must not be relative
]


def status(state: m.JobState, **values: object) -> m.JobStatus:
    return m.JobStatus("20260101-000000-01234567", "clip", state, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (None, ""),
        (0.2, "1 s left"),
        (42.4, "42 s left"),
        (100, "2 min left"),
        (5400, "90 min left"),
        (9e3, "2.5 h left"),
    ],
)
def test_time_left_is_a_round_number(seconds: float | None, says: str) -> None:
    assert time_left(seconds) == says


def test_progress_says_where_a_job_stands_and_how_long_it_takes() -> None:
    now = session.current()
    job = now.job = session.ActiveJob("clip", building.home_of(bpy.context.scene), True)
    now.connection = session.Connection.CONNECTED
    said = []
    for state in (
        None,
        status(m.JobState.QUEUED, queue_position=2),
        status(m.JobState.RUNNING, stage="align", frames_done=3, frames_total=9, seconds_remaining=30.0),
        status(m.JobState.DONE),
    ):
        job.status, job.submitted = state, True
        said.append(_progress_text(now, job, bpy.context))
    now.connection = session.Connection.LOST
    said.append(_progress_text(now, job, bpy.context))
    now.job = None
    assert said == [
        "Submitting",
        "Waiting for 2 other jobs",
        "Align 3/9, 30 s left",
        "Fetching the result",
        "The backend does not answer; the job goes on when it runs again",
    ]


def test_the_list_tells_each_job_in_a_few_words() -> None:
    assert words_of(status(m.JobState.RUNNING, stage="fit", seconds_remaining=150.0)) == "2 min left"
    assert words_of(status(m.JobState.RUNNING, stage="fit")) == "Fit"
    assert words_of(status(m.JobState.FAILED, created="2026-01-02T12:00:00.000+00:00")).startswith("failed, 02 Jan ")
    assert local_time("nonsense") == ""


def test_a_job_of_the_list_unfolds_to_its_sentence_and_its_facts() -> None:
    full = m.Problem("jobs_folder", "The disk is full. The job waits and goes on when it can be.", "Free some space.")
    paused = status(m.JobState.QUEUED, problem=full, attempts=2, bytes=250_000_000, owner="anna")
    assert words_of(paused) == "paused" and icon_of(paused) == "PAUSE"
    assert sentence_of(paused) == f"Paused: {full.message} Free some space."
    assert facts_of(paused) == "Submitted by anna, 0.2 GB, started 2 times."
    aside = m.Problem("worker_died", "The tracking process ended 3 times under this job. It is not tried again.")
    assert sentence_of(status(m.JobState.FAILED, problem=aside)) == aside.message
    assert sentence_of(status(m.JobState.RUNNING, stage="fit", seconds_remaining=150.0)) == "Fit, 2 min left."
    assert sentence_of(status(m.JobState.DONE)) == "Done; nobody has fetched its result yet."


def test_what_is_kept_is_said_and_given_to_the_backend() -> None:
    assert retention.options(0.0, 0) == [] and retention.limits_in_words(0.0, 0) == "All are kept."
    assert retention.options(2.5, 30) == ["--keep-gb", "2.5", "--keep-days", "30"]
    assert retention.limits_in_words(2.5, 1) == "Kept: up to 2.5 GB, for 1 day."


@pytest.mark.parametrize(
    ("percent", "word"), [(0.7, "good"), (1.0, "good"), (1.4, "fair"), (2.0, "fair"), (2.1, "poor")]
)
def test_an_error_is_good_fair_or_poor(percent: float, word: str) -> None:
    assert grades.of_error(percent, with_skin=False) == word
    assert grades.of_error(1.4 * percent, with_skin=True) == word


@pytest.mark.parametrize(("millimetres", "word"), [(0.5, "good"), (3.3, "good"), (3.6, "fair"), (4.5, "poor")])
def test_an_uncertainty_is_good_fair_or_poor(millimetres: float, word: str) -> None:
    assert grades.of_uncertainty(millimetres) == word


def test_clips_and_sequences_of_the_file_are_picked_by_their_relative_paths(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 160, 96)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    clip = bpy.data.movieclips.load(str(tmp_path / "clip.mp4"))
    clip.filepath = "//clip.mp4"
    frames = bpy.data.images.new("frames", 4, 4)
    frames.source, frames.filepath = "SEQUENCE", "//shot/frame_0101.png"
    still = bpy.data.images.new("texture", 4, 4)
    still.source, still.filepath = "FILE", "//texture.png"
    assert sorted(footage_paths.footage_in_file()) == ["clip:clip.mp4", "image:frames"]
    chosen = settings.of(bpy.context.scene)
    assert bpy.ops.flowface.footage_pick(source="clip:clip.mp4") == {"FINISHED"}
    assert chosen.footage == "//clip.mp4"
    chosen.views.add().name = "left"
    assert bpy.ops.flowface.footage_pick(source="image:frames", view="left") == {"FINISHED"}
    assert chosen.views["left"].footage == "//shot/frame_0101.png"


def test_a_path_that_was_chosen_as_relative_stays_so_in_the_scene(tmp_path: Path) -> None:
    for name in ("relative", "absolute"):
        write_clip(tmp_path / f"{name}.mp4", 160, 96)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    chosen = settings.of(bpy.context.scene)
    chosen.footage = "//relative.mp4"
    view = chosen.views.add()
    view.footage = str(tmp_path / "absolute.mp4")
    clips = [bpy.data.movieclips.load(str(tmp_path / f"{name}.mp4")) for name in ("relative", "absolute")]
    footage_paths.keep_relative(bpy.context.scene, clips)
    assert [clip.filepath for clip in clips] == ["//relative.mp4", str(tmp_path / "absolute.mp4")]


def test_relative_footage_is_found_from_wherever_the_file_is_saved(tmp_path: Path) -> None:
    (tmp_path / "shots" / "one").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    chosen, clip = settings.of(bpy.context.scene), tmp_path / "clip.mp4"
    chosen.footage = "//clip.mp4"
    chosen.views.add().footage = str(clip)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "copy.blend"), copy=True)
    assert chosen.footage == "//clip.mp4", "the file that is open has not moved"
    with pytest.raises(RuntimeError):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "nowhere" / "shot.blend"))
    assert chosen.footage == "//clip.mp4", "nor has one that could not be saved"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "one" / "shot.blend"))
    assert [chosen.footage, chosen.views[0].footage] == ["//../../clip.mp4", str(clip)]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "one" / "again.blend"))
    assert chosen.footage == "//../../clip.mp4"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shots" / "copy.blend"))
    assert settings.of(bpy.context.scene).footage == "//../clip.mp4"


@pytest.mark.parametrize("chosen", ["//shot", "//shot/frame_####.png", "//shot/frame_0102.png"])
def test_a_sequence_stays_relative_however_it_was_chosen(tmp_path: Path, chosen: str) -> None:
    (tmp_path / "shot").mkdir()
    picture = bpy.data.images.new("frame", 8, 8)
    picture.file_format = "PNG"
    for number in (101, 102):
        picture.save(filepath=str(tmp_path / "shot" / f"frame_{number:04d}.png"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    settings.of(bpy.context.scene).footage = chosen
    clip = bpy.data.movieclips.load(str(tmp_path / "shot" / "frame_0101.png"))
    assert clip.source == "SEQUENCE"
    footage_paths.keep_relative(bpy.context.scene, [clip])
    assert clip.filepath == "//shot/frame_0101.png"


@pytest.mark.skipif(not LAYERED_ACTIONS, reason="Actions have no slots yet")
def test_an_action_of_a_take_moves_whatever_it_is_given_to() -> None:
    from blender_addon.scene.build import build_take
    from blender_addon.scene.ownership import ARMATURE

    armature = build_take(bpy.context, make_take(Shot()))[ARMATURE]
    other = bpy.data.objects.new("other", armature.data)
    bpy.context.scene.collection.objects.link(other)
    other.animation_data_create().action = armature.animation_data.action
    if other.animation_data.action_slot is None:  # in 4.5, which leaves it to the user
        assert action_slots.pick_slots() == 1
    assert other.animation_data.action_slot == armature.animation_data.action_slot
    bpy.context.scene.frame_set(bpy.context.scene.frame_start + 5)
    assert (other.matrix_world.translation - armature.matrix_world.translation).length < 1e-5
    assert action_slots.pick_slots() == 0
