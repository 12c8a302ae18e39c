"""A tracked take refined in its jobs folder: by pins, masks and keys, again and again, and refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from backend.cameras.distortion import distort, lens_of
from backend.cli import app
from backend.detail.io import save_wrinkles
from backend.errors import UserError
from backend.export.blender import own_triangles
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.observations.io import load_alignments, save_alignments
from backend.pipeline.masks import carried, inside, masked_points
from backend.pipeline.proxies import FOLDER
from backend.pipeline.runners import run_job
from backend.server.result import load_take
from backend.synthesis.alignments import looped_performance
from backend.synthesis.performance import Performance, demo_performance, seen_from
from backend.track.geometry import seen_vertices
from backend.track.io import load_track, save_track
from backend.track.types import CameraTrack, Track
from protocol.fields import to_plain
from protocol.messages import HeldKey, Mask, Pin, RefineJob
from tests.backend.detail.made_up import as_wrinkles, waves
from tests.backend.fitting.observed import observed

FRAMES, FIRST = 40, 101
TRACKED, REFINED, AGAIN = (f"20260101-000000-0000000{n}" for n in (1, 2, 3))
ARRAYS = ("expression", "head_rotation", "head_translation", "gaze", "actions", "tracked")
FRONT = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
SIDEWAYS = np.concatenate([Rotation.from_euler("Y", 30, degrees=True).as_matrix(), [[-0.25], [0.0], [0.1]]], axis=1)
LIPS, CORNER, BROW = 13, 61, 70  # of MediaPipe's points


def camera(name: str, shown: Performance, matrix: NDArray[np.float64], frames: NDArray[np.int64]) -> CameraTrack:
    return CameraTrack(
        name=name,
        footage=f"/{name}.mp4",
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=len(frames),
        footage_rotation=0,
        image_size=shown.image_size,
        focal_px=shown.focal_px,
        principal_point=shown.principal_point,
        world_to_camera=np.repeat(matrix[None], len(frames), axis=0),
        reprojection_error_percent_iod=np.full(len(frames), 1.0, np.float32),
        footage_frames=frames,
    )


def made_track(head: HeadModel, shown: Performance, cameras: tuple[CameraTrack, ...]) -> Track:
    numbers = np.arange(FIRST, FIRST + shown.frame_count)
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=shown.identity.astype(np.float32),
        expression=shown.expression.astype(np.float32),
        head_rotation=shown.head_rotation,
        head_translation=shown.head_translation,
        gaze=shown.gaze.astype(np.float32),
        cameras=cameras,
        frames=numbers,
        scene_frames=numbers.astype(np.float64),
        times=numbers / shown.frame_rate,
        frame_rate=shown.frame_rate,
        tracked=np.ones(shown.frame_count, bool),
        reprojection_error_percent_iod=np.full(shown.frame_count, 1.0, np.float32),
        action_names=head.expression_names,
        actions=shown.expression.astype(np.float32),
    )


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jobs folder with one take of two views; the second began five frames later and has numbers of its own."""
    head, root = load_head(), tmp_path_factory.mktemp("jobs")
    shown = demo_performance(head, seed=3, frame_count=FRAMES)
    still = np.zeros((1, 478, 2))
    first, second = (
        observed(head, seen_from(shown, m, float(shown.focal_px[0])), still, 1.0) for m in (FRONT, SIDEWAYS)
    )
    late = np.arange(5, FRAMES)
    saved = [
        replace(first, numbers=np.arange(FIRST, FIRST + FRAMES)),
        replace(second.at(late), numbers=late - 4),
    ]
    seen_frames = np.where(np.arange(FRAMES) < 5, -1, np.arange(FRAMES) - 4)
    cameras = (
        camera("front", shown, FRONT, np.arange(FIRST, FIRST + FRAMES)),
        camera("side", shown, SIDEWAYS, seen_frames),
    )
    folder = root / TRACKED
    folder.mkdir()
    save_alignments(saved, folder / "alignments.npz")
    save_track(made_track(head, shown, cameras), folder / "track.npz")
    report = {"warnings": ["It was dark."], "neutral": {"frames": [[FIRST, FIRST + 2]], "marked": False}}
    (folder / "report.json").write_text(json.dumps(report))
    return root


def refined(jobs: Path, job_id: str, job: RefineJob) -> tuple[Track, dict[str, object]]:
    folder = jobs / job_id
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(to_plain(job)))
    run_job(job, folder, on_progress=lambda _: None, should_cancel=lambda: False)
    return load_track(folder / "track.npz"), json.loads((folder / "report.json").read_text())


def pixels(track: Track, number: int, point: int, view: int = 0) -> NDArray[np.float64]:
    """(2,) where one of MediaPipe's points is in a view's picture."""
    head = load_head()
    seen = seen_vertices(head, track, np.array([number - FIRST]), view=view)[0]
    return surface_positions(head.landmarks["mediapipe478"], head.triangles, seen)[point, :2]


def pin(track: Track, number: int, point: int, by: tuple[float, float], view: int = 0) -> Pin:
    head = load_head()
    points = head.landmarks["mediapipe478"]
    at = pixels(track, number, point, view) + by
    shown = int(np.flatnonzero(own_triangles(head) == points.triangle[point])[0])
    weights = tuple(points.barycentric[point].tolist())
    return Pin(track.cameras[view].name, number, shown, weights, tuple(at.tolist()))


def assert_same(one: Track, other: Track, frames: slice | NDArray[np.bool_] = slice(None)) -> None:
    for name in ARRAYS:
        assert getattr(one, name)[frames].tobytes() == getattr(other, name)[frames].tobytes(), name


def test_pins_are_met_whatever_was_refined_before(jobs: Path) -> None:
    tracked = load_track(jobs / TRACKED / "track.npz")
    pins = (pin(tracked, 120, CORNER, (-6, -4)), pin(tracked, 125, LIPS, (2, 5), view=1))
    track, report = refined(jobs, REFINED, RefineJob(TRACKED, pins=pins, blend=5))
    for one, point, view in zip(pins, (CORNER, LIPS), (0, 1), strict=True):
        assert np.linalg.norm(pixels(track, one.frame, point, view) - one.position) < 1.0
    outside = (track.frames < 110) | (track.frames > 135)
    assert_same(track, tracked, outside)
    assert report["refine"]["frames"] == [[110, 135]] and report["warnings"] == ["It was dark."]
    assert [p["before_px"] for p in report["refine"]["pins"]] == pytest.approx([52**0.5, 29**0.5], abs=0.02)
    assert max(p["after_px"] for p in report["refine"]["pins"]) < 1.0
    other, _ = refined(jobs, AGAIN, RefineJob(REFINED, keys=(HeldKey(115, "action:jawOpen", (0.9,)),)))
    assert other.actions[115 - FIRST, other.action_names.index("jawOpen")] == pytest.approx(0.9, abs=0.02)
    again, _ = refined(jobs, AGAIN, RefineJob(AGAIN, pins=pins, blend=5))
    assert_same(again, track)
    former, report = refined(jobs, AGAIN, RefineJob(AGAIN))
    assert_same(former, tracked)
    assert report["refine"]["frames"] == []
    take = load_take(jobs / AGAIN, "again")
    assert take is not None and take.report["warnings"] == ["It was dark."]


def test_of_500_frames_those_outside_a_range_of_40_keep_every_bit(tmp_path: Path) -> None:
    head, folder = load_head(), tmp_path / TRACKED
    folder.mkdir()
    shown = looped_performance(head, 500)
    numbers = np.arange(FIRST, FIRST + 500)
    seen = observed(head, shown, np.random.default_rng(1).normal(size=(500, 478, 2)), 1.0)
    save_alignments([replace(seen, numbers=numbers)], folder / "alignments.npz")
    save_track(made_track(head, shown, (camera("front", shown, FRONT, numbers),)), folder / "track.npz")
    tracked = load_track(folder / "track.npz")
    first, last, at = FIRST + 200, FIRST + 239, FIRST + 220
    one = pin(tracked, at, CORNER, (-4, -3))
    track, report = refined(tmp_path, REFINED, RefineJob(TRACKED, frames=(first, last), pins=(one,)))
    assert report["refine"]["frames"] == [[first, last]]
    assert np.linalg.norm(pixels(track, at, CORNER) - one.position) < 1.0
    assert_same(track, tracked, (numbers < first) | (numbers > last))


def test_a_pin_that_the_head_cannot_reach_is_said(jobs: Path) -> None:
    tracked = load_track(jobs / TRACKED / "track.npz")
    apart = (pin(tracked, 120, CORNER, (-3, 0)), replace(pin(tracked, 120, CORNER + 1, (120, 80)), view="front"))
    track, report = refined(jobs, REFINED, RefineJob(TRACKED, pins=apart))
    assert np.isfinite(track.expression).all()
    assert report["warnings"][0] == "It was dark."
    assert any("met to" in warning for warning in report["warnings"][1:])


def test_a_mask_goes_with_the_head_and_hides_what_is_under_it(jobs: Path) -> None:
    head, tracked = load_head(), load_track(jobs / TRACKED / "track.npz")
    drawn_at = 110
    around = pixels(tracked, drawn_at, LIPS)
    square = tuple((float(around[0] + x), float(around[1] + y)) for x, y in ((-12, -9), (12, -9), (12, 9), (-12, 9)))
    moved = carried(np.array(square), drawn_at - FIRST, 0, tracked, head)
    np.testing.assert_allclose(moved[drawn_at - FIRST], square, atol=1e-6)
    for number in (104, 118, 130):
        assert inside(moved[number - FIRST], pixels(tracked, number, LIPS)[None]).all()
    mask = Mask("front", (115, 120), square, drawn_at=drawn_at)
    track, report = refined(jobs, REFINED, RefineJob(TRACKED, masks=(mask,), blend=3))
    assert report["refine"]["masks"] == 1 and report["refine"]["frames"] == [[112, 123]]
    assert track.tracked.all()
    whole, report = refined(jobs, REFINED, RefineJob(TRACKED, masks=(Mask("front"), Mask("side", (115, 120))), blend=0))
    # the second view has nothing of the first five frames, and tells the others but those masked there
    assert np.flatnonzero(~whole.tracked).tolist() == [0, 1, 2, 3, 4, *range(14, 20)]
    assert report["frames_tracked"] == FRAMES - 11
    assert np.isnan(whole.cameras[0].reprojection_error_percent_iod).all()


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda pin: {"pins": (replace(pin, view="back"),)}, "unknown_view", "no view “back”.*front, side"),
        (lambda pin: {"pins": (replace(pin, frame=300),)}, "frames_out_of_range", "no frame 300.*101 to 140"),
        (lambda pin: {"pins": (replace(pin, triangle=12_000),)}, "bad_correction", "no part of the head itself"),
        (lambda pin: {"keys": (HeldKey(pin.frame, "action:jawDrop", (1.0,)),)}, "bad_correction", "“jawDrop”"),
        (lambda pin: {"pins": (pin,), "frames": (1, 50)}, "frames_out_of_range", "from 1 to 50"),
    ],
)
def test_what_the_take_does_not_have_is_named(
    jobs: Path, spoil: Callable[[Pin], dict[str, object]], code: str, said: str
) -> None:
    right = pin(load_track(jobs / TRACKED / "track.npz"), 120, CORNER, (0, 0))
    with pytest.raises(UserError) as caught:
        refined(jobs, REFINED, RefineJob(TRACKED, **spoil(right)))
    assert caught.value.code == code
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(str(caught.value))


def test_pins_are_where_the_lens_shows_them(jobs: Path, tmp_path: Path) -> None:
    source = tmp_path / TRACKED
    shutil.copytree(jobs / TRACKED, source)
    plain = load_track(source / "track.npz")
    bent = replace(plain.cameras[0], distortion=(-1.5, 0.0, 0.0, 0.0))
    save_track(replace(plain, cameras=(bent, plain.cameras[1])), source / "track.npz")
    lens = lens_of(bent)
    first, second = load_alignments(source / "alignments.npz")
    (points,) = first.point_sets
    seen = replace(first, point_sets=(replace(points, mu=distort(points.mu, lens).astype(np.float32)),))
    save_alignments([seen, second], source / "alignments.npz")
    asked = distort(pixels(plain, 120, BROW)[None], lens)[0] + [-5.0, 3.0]
    assert np.linalg.norm(asked - [-5.0, 3.0] - pixels(plain, 120, BROW)) > 1.0  # the lens matters
    one = replace(pin(plain, 120, BROW, (0, 0)), position=tuple(asked.tolist()))
    track, report = refined(tmp_path, REFINED, RefineJob(TRACKED, pins=(one,)))
    assert np.linalg.norm(distort(pixels(track, 120, BROW)[None], lens)[0] - asked) < 1.0
    assert report["refine"]["pins"][0]["before_px"] < 8.0
    # a corner beyond what the lens shows leaves a standing mask as it was drawn, and cannot go with the head
    corners = ((-2e3, -2e3), (4e3, -2e3), (4e3, float(asked[1]) - 5), (-2e3, float(asked[1]) - 5))
    mask = Mask("front", (120, 120), corners)
    (drawn,) = np.nonzero(
        masked_points([mask], 0, load_track(source / "track.npz"), load_head(), first, "it")[120 - FIRST]
    )
    there = first.valid[120 - FIRST] & (seen.mu[120 - FIRST, :, 1] < corners[2][1])
    np.testing.assert_array_equal(drawn, np.flatnonzero(there))
    with pytest.raises(UserError, match="shows nothing"):
        refined(tmp_path, REFINED, RefineJob(TRACKED, masks=(replace(mask, drawn_at=120),)))
    # per cent: 0.00; 0.69 where the lens is left in what was seen
    assert track.cameras[0].reprojection_error_percent_iod[108 - FIRST] < 0.1


def test_a_take_of_which_nothing_seen_was_kept_says_so(jobs: Path, tmp_path: Path) -> None:
    old = tmp_path / TRACKED
    old.mkdir()
    (old / "track.npz").write_bytes((jobs / TRACKED / "track.npz").read_bytes())
    with pytest.raises(UserError, match=r"cannot be refined.*missing"):
        refined(tmp_path, REFINED, RefineJob(TRACKED))
    shutil.copyfile(jobs / TRACKED / "alignments.npz", old / "alignments.npz")
    for report in ("[]", '{"neutral": {"frames": [1]}}', '{"texture": "skin"}'):
        (old / "report.json").write_text(report)
        with pytest.raises(UserError, match=r"report.json is damaged"):
            refined(tmp_path, REFINED, RefineJob(TRACKED))


def test_a_refined_take_has_its_proxies_and_wrinkles_when_the_tracked_one_is_gone(jobs: Path, tmp_path: Path) -> None:
    source = tmp_path / TRACKED
    shutil.copytree(jobs / TRACKED, source)
    (source / FOLDER).mkdir()
    (source / FOLDER / "front.mp4").write_bytes(b"a film")
    save_wrinkles(as_wrinkles(waves(8)), source / "wrinkles.npz")
    track = load_track(source / "track.npz")
    shown = replace(track.cameras[0], proxy=str(source / FOLDER / "front.mp4"))
    save_track(replace(track, cameras=(shown, track.cameras[1])), source / "track.npz")
    refined(tmp_path, REFINED, RefineJob(TRACKED))
    shutil.rmtree(source)
    again, _ = refined(tmp_path, AGAIN, RefineJob(REFINED))
    assert Path(again.cameras[0].proxy) == tmp_path / AGAIN / FOLDER / "front.mp4"
    assert Path(again.cameras[0].proxy).read_bytes() == b"a film"
    take = load_take(tmp_path / AGAIN, "again")
    assert take is not None
    np.testing.assert_allclose(take.wrinkles[:3], waves(8), atol=2e-6)
    (tmp_path / REFINED / "wrinkles.npz").unlink()
    refined(tmp_path, AGAIN, RefineJob(REFINED))
    without = load_take(tmp_path / AGAIN, "again")
    assert without is not None and not without.wrinkles.size


def test_a_take_of_several_faces_is_not_refined_over_itself(jobs: Path, tmp_path: Path) -> None:
    folder = tmp_path / TRACKED
    shutil.copytree(jobs / TRACKED, folder)
    shutil.copyfile(folder / "track.npz", folder / "track_2.npz")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    corrections = tmp_path / "corrections.json"
    corrections.write_text("{}")
    command = ["refine", str(folder), "--pins", str(corrections), "-o", str(folder)]
    with pytest.raises(UserError, match="would replace one"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_of_results_is_refined_by_a_file(jobs: Path, tmp_path: Path) -> None:
    tracked = load_track(jobs / TRACKED / "track.npz")
    one = pin(tracked, 120, CORNER, (-6, -4))
    corrections = tmp_path / "corrections.json"
    corrections.write_text(json.dumps({"pins": [asdict(one)], "blend": 4}))
    out = tmp_path / "out"
    command = ["refine", str(jobs / TRACKED), "--pins", str(corrections), "-o", str(out)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0 and "7.2 px off, now 0." in result.output
    track = load_track(out / "track.npz")
    assert np.linalg.norm(pixels(track, 120, CORNER) - one.position) < 1.0
    assert (out / "tracked.npz").read_bytes() == (jobs / TRACKED / "track.npz").read_bytes()
    corrections.write_text(json.dumps({"pins": [asdict(one) | {"frame": "x"}]}))
    with pytest.raises(UserError, match=r"corrections.pins\[0\].frame"):
        CliRunner().invoke(app, command, catch_exceptions=False)
