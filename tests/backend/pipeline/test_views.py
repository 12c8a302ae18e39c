"""Views open as what they are, on one timeline, and reach the fit as an ideal camera would have seen them."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.io import imsave

from backend.cameras.distortion import Lens, distort
from backend.errors import UserError
from backend.footage.encode import encode_evenly
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView, picture_at, view_warnings, views_to_fit
from backend.pipeline.open_views import open_views
from backend.pipeline.result import first_scene_frame
from protocol.messages import CameraSpec, FaceChoice, SolveOptions, TrackJob, ViewSpec

SIZE = (64, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten numbered pictures in each of two folders, a lone picture, and clips of 25 and 50 frames a second."""
    folder = tmp_path_factory.mktemp("views")
    grey = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
    for camera in ("left", "right"):
        (folder / camera).mkdir()
        for number in range(10):
            imsave(folder / camera / f"pose_{number:02d}.png", grey, check_contrast=False)
    imsave(folder / "portrait.png", grey, check_contrast=False)
    encode_evenly(folder / "slow.mp4", [grey] * 20, 25)
    encode_evenly(folder / "fast.mp4", [grey] * 60, 50)
    return folder


def opened(folder, *names, frames=None, **fields):
    views = tuple(ViewSpec(str(folder / name), name, **fields.get(name.split(".")[0], {})) for name in names)
    return open_views(TrackJob(views, frames=frames))


def test_pictures_of_one_sequence_are_views_of_one_synchronised_frame(folder):
    views = opened(folder, "left/pose_03.png", "left/pose_07.png", "left/pose_08.png")
    assert [(view.info.kind, view.info.path.name, view.footage.total) for view in views] == [
        ("still", "pose_03.png", 1),
        ("still", "pose_07.png", 1),
        ("still", "pose_08.png", 1),
    ]


def test_a_picture_of_each_of_two_sequences_stands_for_the_sequences(folder):
    views = opened(folder, "left/pose_03.png", "right/pose_00.png")
    assert [(view.info.kind, view.footage.total) for view in views] == [("sequence", 10), ("sequence", 10)]
    alone = opened(folder, "left/pose_03.png")
    assert alone[0].info.kind == "sequence" and alone[0].footage.total == 10
    mixed = opened(folder, "left/pose_03.png", "left/pose_04.png", "portrait.png")
    assert [view.info.kind for view in mixed] == ["still"] * 3


def test_images_that_a_user_lists_are_the_sequence(folder):
    view = ViewSpec(str(folder / "left" / "pose_07.png"), files=("pose_07.png", "../right/pose_02.png", "pose_05.png"))
    (opened_view,) = open_views(TrackJob((view,)))
    names = [f"{file.parent.name}/{file.name}" for file in opened_view.info.files]
    assert names == ["right/pose_02.png", "left/pose_05.png", "left/pose_07.png"]
    assert opened_view.info.numbers == (2, 5, 7)
    assert picture_at(aligned(opened_view, 24, 3), 1).shape == (SIZE[1], SIZE[0], 3)


def test_only_what_the_first_view_can_see_is_read_of_the_others(folder):
    first, second = opened(folder, "slow.mp4", "fast.mp4", frames=(6, 8), fast={"offset": 0.2})
    assert [frame.number for frame in first.footage] == [6, 7, 8]
    numbers = [frame.number for frame in second.footage]
    # Frames 6 to 8 are 0.20 to 0.28 s, on the other clock 0.40 to 0.48 s: frames 21 to 25, and one more at each end.
    assert numbers[0] in (19, 20) and numbers[-1] in (26, 27) and len(numbers) == numbers[-1] - numbers[0] + 1


def test_names_are_made_distinct(folder):
    views = open_views(TrackJob(tuple(ViewSpec(str(folder / "slow.mp4")) for _ in range(3))))
    assert [view.spec.name for view in views] == ["camera", "camera 2", "camera 3"]


def test_a_view_of_another_time_is_refused(folder):
    with pytest.raises(UserError, match="fast") as caught:
        opened(folder, "slow.mp4", "fast.mp4", fast={"offset": -3.0})
    assert caught.value.code == "views_apart"


def aligned(view, rate, count, index=None, camera=None, seed=0):
    """A view of ``count`` frames in which six points were seen."""
    random = np.random.default_rng(seed)
    mu = random.uniform((0, 0), SIZE, (count, 6, 2)).astype(np.float32)
    seen = PointSet.of("mediapipe478", mu, np.full((count, 6), 0.5, np.float32), np.ones((count, 6), bool))
    lids = random.uniform(size=(count, 2)).astype(np.float32)
    alignment = ViewAlignment.of(seen, image_size=SIZE, frame_rate=rate, lid_closure=lids)
    index = np.arange(count) if index is None else np.array(index)
    return AlignedView(dataclasses.replace(view, camera=camera), alignment, index)


@pytest.mark.slow
def test_the_fit_sees_each_view_on_the_first_ones_timeline(folder):
    slow, fast = opened(folder, "slow.mp4", "fast.mp4")
    first = aligned(slow, 25, 5)
    second = aligned(fast, 50, 9, index=[-1, 0, 2, 4, -1], seed=1)
    views = views_to_fit([first, second], focal_px=80.0)
    assert [view.alignment.mu.shape for view in views] == [(5, 6, 2), (5, 6, 2)]
    assert all(view.alignment.frame_rate == pytest.approx(25) for view in views)
    seen = views[1].alignment
    np.testing.assert_array_equal(seen.valid.all(axis=1), [False, True, True, True, False])
    assert not seen.valid[[0, 4]].any() and np.isnan(seen.lid_closure[[0, 4]]).all()
    np.testing.assert_array_equal(seen.mu[1:4], second.alignment.mu[[0, 2, 4]])
    np.testing.assert_array_equal(seen.lid_closure[1:4], second.alignment.lid_closure[[0, 2, 4]])
    assert views[1].camera.focal_px == 80.0 and views[1].camera.world_to_camera is None
    assert second.footage_frames.tolist() == [-1, 1, 3, 5, -1]


def test_a_rate_that_the_file_gets_wrong_is_put_right(folder):
    (slow,) = opened(folder, "slow.mp4", slow={"frame_rate": 100.0})
    view = aligned(slow, 25, 5)
    np.testing.assert_allclose(view.opened.seconds(view.alignment.times), np.arange(5) / 100)
    assert views_to_fit([view], None)[0].alignment.frame_rate == pytest.approx(100)


def test_every_view_has_the_takes_own_times(folder):
    """Uneven as they are, and as they really were where the file is wrong about its rate."""
    slow, fast = opened(folder, "slow.mp4", "fast.mp4", slow={"frame_rate": 50.0})
    times = np.cumsum([0.0, 1, 1, 3, 1, 2]) / 25
    first = aligned(slow, rate=25, count=6)
    first = dataclasses.replace(first, alignment=dataclasses.replace(first.alignment, times=times))
    second = aligned(fast, rate=50, count=60, index=np.array([0, 1, -1, 5, 6, 8]))
    views = views_to_fit([first, second], None)
    for view in views:
        assert view.alignment.times == pytest.approx(times / 2)
        assert view.alignment.frame_rate == pytest.approx(5 / times[-1] * 2)


def test_what_is_told_of_a_lens_reaches_the_fit(folder):
    """In millimetres by view, then the job's pixels for what is left."""
    lens = {"focal_mm": 35.0, "sensor_mm": 28.0, "principal_point": (30.0, 20.0)}
    slow, fast = opened(folder, "slow.mp4", "fast.mp4", slow=lens)
    views = views_to_fit([aligned(slow, 25, 5), aligned(fast, 50, 5)], focal_px=77.0)
    assert [view.camera.focal_px for view in views] == [pytest.approx(35 / 28 * 64), 77.0]
    assert [view.camera.principal_point for view in views] == [(30.0, 20.0), None]
    assert [slow.focal_source(77.0), fast.focal_source(77.0), fast.focal_source(None)] == ["given", "given", "solved"]


def with_exif(path, size, tags):
    """A JPEG whose EXIF has these tags in its own directory."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    Image.new("RGB", size, (90, 90, 90)).save(path, exif=exif)


def test_a_pictures_exif_tells_its_focal_length_until_it_was_cropped(tmp_path):
    tags = {41989: 50, 40962: 120, 40963: 80}
    for name, size in (("whole", (120, 80)), ("smaller", (60, 40)), ("upright", (80, 120)), ("cropped", (80, 80))):
        with_exif(tmp_path / f"{name}.jpg", size, tags)
    told = {}
    for name in ("whole", "smaller", "upright", "cropped"):
        (view,) = opened(tmp_path, f"{name}.jpg")
        fitted = views_to_fit([aligned(view, 25, 1)], None)[0].camera
        told[name] = fitted.focal_told and fitted.focal_told.focal_px
        assert fitted.focal_px is None
        assert view.focal_source(None) == ("solved" if name == "cropped" else "exif")
        said = view_warnings([aligned(view, 25, 1)])
        assert [("it was cropped" in sentence) for sentence in said] == ([True] if name == "cropped" else [])
    assert told == {
        "whole": pytest.approx(120 * 50 / 36),
        "smaller": pytest.approx(60 * 50 / 36),
        "upright": pytest.approx(120 * 50 / 36),
        "cropped": None,
    }


def test_the_lens_is_taken_out_of_what_was_seen(folder):
    camera = CameraSpec(SIZE, 60.0, 1.1, (31.0, 25.0), (-0.2, 0.05, 0.001, 0.0))
    (slow,) = opened(folder, "slow.mp4")
    view = aligned(slow, 25, 3, camera=camera)
    fitted = views_to_fit([view], None)[0]
    assert fitted.camera.focal_px == 60.0 and fitted.camera.principal_point == (31.0, 25.0)
    seen = fitted.alignment
    assert seen.valid.all()
    lens = Lens(60.0, (31.0, 25.0), 1.1, camera.distortion)
    np.testing.assert_allclose(distort(seen.mu, lens), view.alignment.mu, atol=1e-4)
    assert (np.linalg.norm(seen.mu - view.alignment.mu, axis=-1) > 0.5).any()
    assert (seen.sigma != 0.5).all(), "what is enlarged is known less exactly"


def test_clips_start_where_their_frames_were_matched(folder):
    first, same, faster = opened(folder, "slow.mp4", "slow.mp4", "fast.mp4", fast={"offset": 0.1})
    views = aligned(first, 25, 3), aligned(same, 25, 12, index=[-1, 3, 4])
    assert first_scene_frame(*views) == -1, "its fourth frame shows on frame 2"
    # At another rate a clip in Blender drifts; only its start can be right: 0.1 s are 2.5 frames before frame 1.
    assert first_scene_frame(views[0], aligned(faster, 50, 12, index=[5, 7, 9])) in (-1, -2)


def test_what_a_user_should_know_is_said(folder):
    large = CameraSpec((2 * SIZE[0], 2 * SIZE[1]), 160.0)
    first, faster = opened(folder, "slow.mp4", "fast.mp4", fast={"camera": large})
    scaled = dataclasses.replace(large, image_size=SIZE, focal_px=80.0)
    assert faster.camera == scaled
    views = aligned(first, 25, 3), aligned(faster, 50, 12, index=[0, 2, 4], camera=scaled)
    warnings = view_warnings(views)
    assert len(warnings) == 2 and "128 × 96 pixels and was scaled to 64 × 48" in warnings[0]
    assert "50 frames per second, the first view 25" in warnings[1]
    assert view_warnings(views[:1]) == []


def test_what_reading_has_to_say_is_said(folder):
    for number in (2_000_000, 2_000_001):
        shutil.copy(folder / "portrait.png", folder / f"far_{number}.png")
    slow, far = opened(folder, "slow.mp4", "far_2000000.png")
    (said,) = view_warnings([aligned(far, 24, 2)])
    assert said == far.info.notes[0] and "2000000" in said
    both = view_warnings([aligned(slow, 25, 2), aligned(far, 24, 2)])
    assert f"“far_2000000.png”: {said}" in both


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"options": SolveOptions(focal_px=2.0)}, "bad_lens", "focal length of 3.2 to 64,000 pixels"),
        ({"options": SolveOptions(focal_px=1e6)}, "bad_lens", "focal length of 3.2 to 64,000 pixels"),
        ({"principal_point": (5000.0, 1.0)}, "bad_lens", "no lens looks at 5000, 1"),
        (
            {"face": FaceChoice("box", box=(100.0, 0.0, 20.0, 20.0))},
            "face_not_chosen",
            "outside its picture of 64 × 48",
        ),
        ({"face": FaceChoice("point", point=(10.0, -3.0))}, "face_not_chosen", "outside its picture of 64 × 48"),
    ],
)
def test_what_no_picture_of_this_size_can_show_is_refused(folder, fields, code, words):
    own = {name: fields.pop(name) for name in ("principal_point",) if name in fields}
    with pytest.raises(UserError, match=words) as caught:
        open_views(TrackJob((ViewSpec(str(folder / "slow.mp4"), **own),), **fields))
    assert caught.value.code == code
