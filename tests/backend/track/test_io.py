"""Tracks and archives of arrays survive the disk, and damaged or hostile files are refused in one sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import UserError
from backend.files import read_npz, write_atomic, write_npz
from backend.track.io import VERSION, load_track, save_track
from backend.track.types import CameraTrack, Track
from protocol.arrays import at_frames, declared
from protocol.job import DistortionModel
from tests.protocol.takes import poses, spoilt


def small_track(frames: int = 4, cameras: int = 1) -> Track:
    """A consistent track of random numbers."""
    random = np.random.default_rng(frames)
    error = random.uniform(0, 2, frames).astype(np.float32)
    error[0] = np.nan
    return Track(
        head_id="open",
        head_hash="0123456789abcdef",
        identity=random.normal(size=7).astype(np.float32),
        expression=random.uniform(size=(frames, 3)).astype(np.float32),
        head_rotation=random.normal(size=(frames, 3)),
        head_translation=random.normal(size=(frames, 3)),
        gaze=random.normal(size=(frames, 2, 2)).astype(np.float32),
        cameras=tuple(
            CameraTrack(
                name=f"camera {i}",
                footage="/clips/ünïcode.mp4",
                footage_kind="video",
                footage_first_frame=1,
                footage_frame_count=99,
                footage_rotation=270,
                image_size=(640, 360),
                focal_px=random.uniform(500, 900, frames),
                principal_point=np.array([320.0, 180.25]),
                world_to_camera=poses(random, frames),
                reprojection_error_percent_iod=error + np.float32(i),
                footage_frames=np.arange(frames) - 1 + i,
                focal_ratio=1.0 + i / 8,
                distortion=(0.1, -0.2, 0.0, 0.001)[: 4 * i],
                distortion_model=list(DistortionModel)[i % 2],
                landmarks_px=np.where(
                    random.uniform(size=(frames, 5, 1)) < 0.2, np.nan, random.uniform(0, 360, (frames, 5, 2))
                ).astype(np.float32),
            )
            for i in range(cameras)
        ),
        frames=np.arange(5, 5 + frames),
        scene_frames=np.arange(5.0, 5 + frames),
        times=np.arange(frames) / 25,
        frame_rate=25.0,
        tracked=np.arange(frames) > 0,
        reprojection_error_percent_iod=error,
        provenance={"versions": {"flowface": "0.1.0"}, "seconds": {"fit": 0.5}},
        deformation=random.normal(size=(11, 3)).astype(np.float32),
        action_names=("jawOpen", "mouthPucker"),
        actions=random.uniform(size=(frames, 2)).astype(np.float32),
        uncertainty_mm=error,
        expression_sigma=random.uniform(size=(frames, 3)).astype(np.float32),
        action_corrections=random.normal(size=(3, 11, 3)).astype(np.float16),
        landmark_vertices=random.integers(0, 11, (5, 3)).astype(np.int32),
        landmark_barycentric=random.uniform(size=(5, 3)).astype(np.float32),
    )


def assert_same(a, b):
    for item in dataclasses.fields(a):
        x, y = getattr(a, item.name), getattr(b, item.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
        elif item.name == "cameras":
            for one, other in zip(x, y, strict=True):
                assert_same(one, other)
        else:
            assert x == y, item.name


@pytest.mark.parametrize(("frames", "cameras"), [(1, 1), (4, 1), (3, 4)])
def test_round_trip(tmp_path, frames, cameras):
    track = small_track(frames, cameras)
    save_track(track, tmp_path / "track.npz")
    assert_same(track, load_track(tmp_path / "track.npz"))
    assert [p.name for p in tmp_path.iterdir()] == ["track.npz"]


def test_numbers_of_numpys_own_types_are_written_as_plain_ones(tmp_path):
    track = small_track()
    camera = dataclasses.replace(track.cameras[0], footage_frame_count=np.int64(7), focal_ratio=np.float32(1.5))
    track = dataclasses.replace(track, cameras=(camera,), provenance={"seconds": np.float64(2.5), "used": np.True_})
    save_track(track, tmp_path / "track.npz")
    again = load_track(tmp_path / "track.npz")
    assert again.provenance == {"seconds": 2.5, "used": True}
    assert (again.cameras[0].footage_frame_count, again.cameras[0].focal_ratio) == (7, 1.5)


def test_the_file_holds_no_pickle_and_numpy_reads_it(tmp_path):
    save_track(small_track(), tmp_path / "track.npz")
    with np.load(tmp_path / "track.npz", allow_pickle=False) as data:
        assert json.loads(data["header"].tobytes())["format"] == "flowface-track"
        assert data["camera0_focal_px"].shape == (4,)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gaze": np.zeros((3, 2, 2), np.float32)}, "gaze"),
        ({"head_rotation": np.full((4, 3), np.nan)}, "head_rotation"),
        ({"expression": np.zeros((4,), np.float32)}, "expression"),
        ({"cameras": ()}, "camera"),
    ],
)
def test_a_track_that_contradicts_itself_is_not_written(tmp_path, changes, named):
    with pytest.raises(UserError, match=named) as caught:
        save_track(dataclasses.replace(small_track(), **changes), tmp_path / "track.npz")
    assert caught.value.code == "bad_track" and not any(tmp_path.iterdir())


def rewritten(tmp_path, **changes):
    """A track file of which some arrays were replaced, or left out for None."""
    save_track(small_track(), tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as data:
        arrays = {name: data[name] for name in data.files} | changes
    np.savez(tmp_path / "track.npz", **{k: v for k, v in arrays.items() if v is not None})
    return tmp_path / "track.npz"


def header(**changes):
    base = {"format": "flowface-track", "version": VERSION, "head_id": "open", "head_hash": "x", "frame_rate": 25.0}
    camera = {"name": "c", "footage": "f", "footage_kind": "video", "footage_first_frame": 1, "footage_frame_count": 4}
    camera |= {"footage_rotation": 0, "image_size": [4, 3]}
    full = base | {"cameras": [camera], "action_names": ["jawOpen", "mouthPucker"], "provenance": {}} | changes
    return np.frombuffer(json.dumps(full).encode(), np.uint8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"header": None}, "no header"),
        ({"header": np.zeros(3, np.uint8)}, "damaged"),
        ({"header": header(format="other")}, "something else"),
        ({"header": header(version=VERSION + 1)}, f"format version {VERSION + 1}"),
        ({"header": header(action_names=None)}, "action_names” must be a list"),
        ({"header": header(action_names=[1, 2])}, "incomplete"),
        ({"header": header(action_names=["jawOpen"])}, "“actions” has shape"),
        ({"camera0_footage_frames": None}, "“camera0_footage_frames” is missing"),
        ({"deformation": np.zeros((5, 2), np.float32)}, "“deformation” has shape"),
        ({"expression_sigma": np.zeros((4, 9), np.float32)}, "“expression_sigma” has shape"),
        ({"header": header(cameras=3)}, "cameras” must be a list"),
        ({"header": header(cameras=[{}])}, "incomplete"),
        ({"header": header(head_id=3)}, "incomplete"),
        ({"header": header(provenance=3)}, "incomplete"),
        ({"times": None}, "“times” is missing"),
        ({"times": np.zeros(5)}, "“times” has shape"),
        ({"times": np.zeros(4, np.float32)}, "“times” is float32"),
    ],
)
def test_a_file_that_is_no_whole_track_is_refused_by_name(tmp_path, changes, words):
    path = rewritten(tmp_path, **changes)
    with pytest.raises(UserError, match=words) as caught:
        load_track(path)
    assert caught.value.code == "bad_track" and str(path) in caught.value.message


EVERY_ARRAY = [
    (prefix, array, {"identity": "K_id", "deformation": "V", "action_corrections": "P"}.get(array.name, ""))
    for prefix, cls in (("", Track), ("camera0_", CameraTrack))
    for array in declared(cls).values()
]


@pytest.mark.parametrize(
    ("prefix", "array", "free"), EVERY_ARRAY, ids=[prefix + array.name for prefix, array, _ in EVERY_ARRAY]
)
def test_no_array_is_read_otherwise_than_declared(tmp_path, prefix, array, free):
    """Each array there is, each way to be wrong: a new array is held to its declaration from its first line on."""
    name, owner = prefix + array.name, small_track().cameras[0] if prefix else small_track()
    for what, wrong in {"absence": None, **spoilt(array, getattr(owner, array.name), free)}.items():
        # Of arrays that contradict each other's size, the one that comes second is named.
        with pytest.raises(UserError, match="has shape" if what.startswith("size") else f"“{name}” ") as caught:
            load_track(rewritten(tmp_path, **{name: wrong}))
        assert caught.value.code == "bad_track"


@pytest.mark.parametrize("name", [name for name, array in declared(Track).items() if array.shape[0] == "T"])
def test_each_frame_keeps_its_values_when_frames_are_cut_out(tmp_path, name):
    track, frames = small_track(frames=5, cameras=2), np.array([3, 0, 3])
    save_track(at_frames(track, frames), tmp_path / "track.npz")
    np.testing.assert_array_equal(getattr(load_track(tmp_path / "track.npz"), name), getattr(track, name)[frames])


def test_a_complete_header_is_read(tmp_path):
    assert load_track(rewritten(tmp_path, header=header())).cameras[0].image_size == (4, 3)


def test_a_track_of_version_1_is_read(tmp_path):
    new = ("deformation", "actions", "uncertainty_mm", "expression_sigma", "action_corrections")
    new += ("camera0_reprojection_error_percent_iod", "camera0_footage_frames")
    track = load_track(rewritten(tmp_path, header=header(version=1, action_names=None), **dict.fromkeys(new)))
    assert track.actions.shape == (4, 0) and track.deformation.shape == (0, 3) and track.action_names == ()
    assert np.isnan(track.uncertainty_mm).all() and np.isnan(track.expression_sigma).all()
    assert track.uncertainty_mm.shape == (4,) and track.expression_sigma.shape == (4, 3)
    np.testing.assert_array_equal(track.cameras[0].footage_frames, track.frames)
    save_track(track, tmp_path / "again.npz")
    assert_same(track, load_track(tmp_path / "again.npz"))


def test_a_track_of_version_2_has_no_personal_actions(tmp_path):
    track = load_track(rewritten(tmp_path, header=header(version=2), action_corrections=None))
    assert track.action_corrections.shape == (3, 0, 3)
    save_track(track, tmp_path / "again.npz")
    assert_same(track, load_track(tmp_path / "again.npz"))


def test_a_track_of_version_3_has_no_landmarks(tmp_path):
    track = load_track(rewritten(tmp_path, header=header(version=3)))
    assert track.landmark_vertices.shape == (0, 3) and track.cameras[0].landmarks_px.shape == (4, 0, 2)


def test_sizes_are_checked_before_anything_is_filled_in(tmp_path):
    """An old file that lies about its frames would have 160 GB of uncertainties filled in."""
    lies = {
        "scene_frames": np.zeros(200_000),
        "expression": np.zeros((1, 200_000), np.float32),
        "expression_sigma": None,
    }
    with pytest.raises(UserError, match="“expression” has shape"):
        load_track(rewritten(tmp_path, header=header(version=1), **lies))


def test_missing_and_foreign_files_are_told_apart(tmp_path):
    with pytest.raises(UserError) as caught:
        load_track(tmp_path / "track.npz")
    assert caught.value.code == "file_missing"
    (tmp_path / "track.npz").write_text("hello")
    with pytest.raises(UserError) as caught:
        load_track(tmp_path / "track.npz")
    assert caught.value.code == "bad_file"


def test_a_pickle_inside_is_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError) as caught:
        read_npz(tmp_path / "a.npz", "test")
    assert caught.value.code == "bad_file"


def test_a_claimed_size_is_checked_before_it_is_allocated(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue() + b"\0" * 8)
    with pytest.raises(UserError, match="does not hold") as caught:
        read_npz(tmp_path / "a.npz", "test")
    assert caught.value.code == "bad_file"


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz", {"x": np.zeros(1 << 20)})
    with pytest.raises(UserError) as caught:
        read_npz(tmp_path / "a.npz", "test", max_bytes=1 << 20)
    assert caught.value.code == "too_large"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_only_raises_user_errors(tmp_path, data):
    save_track(small_track(), tmp_path / "good.npz")
    content = bytearray((tmp_path / "good.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "track.npz").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load_track(tmp_path / "track.npz")
    except UserError as error:
        assert error.code in {"bad_file", "bad_track", "too_large"}


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3).T, np.float64(3), np.zeros((0, 3)), np.array([True, False])]
)
def test_arrays_of_every_layout_come_back(tmp_path, array):
    write_npz(tmp_path / "a.npz", {"x": np.asarray(array)})
    got = read_npz(tmp_path / "a.npz", "test")["x"]
    assert got.dtype == np.asarray(array).dtype and got.shape == np.shape(array)
    np.testing.assert_array_equal(got, array)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "state.json"
    write_atomic(path, b"old")
    with pytest.raises(TypeError):
        write_atomic(path, "not bytes")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_proxy_is_found_where_the_results_are_moved(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere.mp4"
    here.mkdir()
    track = small_track(cameras=3)
    proxies = str(here / "proxy" / "a.mp4"), str(elsewhere), ""
    cameras = [dataclasses.replace(camera, proxy=proxy) for camera, proxy in zip(track.cameras, proxies, strict=True)]
    save_track(dataclasses.replace(track, cameras=tuple(cameras)), here / "track.npz")
    assert [camera.proxy for camera in load_track(here / "track.npz").cameras] == [*proxies]
    there = here.rename(tmp_path / "there")
    moved = str(there / "proxy" / "a.mp4"), *proxies[1:]
    assert [camera.proxy for camera in load_track(there / "track.npz").cameras] == [*moved]
