"""A track file of each format version, made by the code of its time, is read, without what its version did not have.

Version 1 is of commit 9168d76, 2 of d3c0d6c, 3 of 936e53a, 4 and 5 of those that added them here; all hold the same
numbers of nobody: three frames, the first without a face, one view in version 1 and two from then on.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.files import write_npz
from backend.track.io import VERSION, load_track, save_track

FILES = Path(__file__).parent / "files"
VERSIONS = range(1, VERSION + 1)


def grid(*shape, scale):
    return np.arange(np.prod(shape)).reshape(shape) * scale


def test_there_is_a_file_of_each_version():
    assert {path.name for path in FILES.glob("*.npz")} == {f"track_{version}.npz" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_track_of_each_version_is_read(version):
    track = load_track(FILES / f"track_{version}.npz")
    assert (track.head_id, track.frame_rate, track.provenance) == ("toy", 25.0, {"made by": f"version {version}"})
    assert track.frames.tolist() == [5, 6, 7] and track.tracked.tolist() == [False, True, True]
    np.testing.assert_allclose(track.expression, grid(3, 4, scale=0.01), atol=1e-7)
    np.testing.assert_allclose(track.head_rotation, grid(3, 3, scale=0.1))
    np.testing.assert_array_equal(track.reprojection_error_percent_iod, np.array([np.nan, 1, 2], np.float32))
    assert [camera.name for camera in track.cameras] == ["camera 0", "camera 1"][: min(version, 2)]
    first = track.cameras[0]
    assert (first.image_size, first.footage_rotation, first.principal_point.tolist()) == (
        (640, 360),
        90,
        [320.0, 180.5],
    )
    np.testing.assert_allclose(first.focal_px, [800, 801, 802])
    np.testing.assert_allclose(first.world_to_camera[:, 2, 3], [0, 0.1, 0.2])
    assert first.footage_frames.tolist() == ([5, 6, 7] if version == 1 else [-1, 0, 1])


@pytest.mark.parametrize("version", VERSIONS)
def test_what_came_with_a_version_is_there_from_then_on(version):
    track = load_track(FILES / f"track_{version}.npz")
    first = track.cameras[0]
    assert first.distortion == ((0.1, -0.2, 0.0, 0.001) if version >= 2 else ())
    assert track.action_names == (("jawOpen", "mouthPucker") if version >= 2 else ())
    assert track.deformation.shape == ((5, 3) if version >= 2 else (0, 3))
    assert np.isfinite(track.expression_sigma).all() == (version >= 2)
    assert track.action_corrections.shape[1] == (5 if version >= 3 else 0)
    assert first.landmarks_px.shape[1] == len(track.landmark_vertices) == (3 if version >= 4 else 0)
    np.testing.assert_array_equal(track.skin_error_percent_iod, [np.nan, 0.5, 1.0] if version >= 5 else [np.nan] * 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_track_of_each_version_is_written_as_the_newest(version, tmp_path):
    track = load_track(FILES / f"track_{version}.npz")
    save_track(track, tmp_path / "again.npz")
    again = load_track(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as file:
        assert f'"version": {VERSION}'.encode() in file["header"].tobytes()
    np.testing.assert_array_equal(again.expression, track.expression)
    assert again.cameras[0].footage_frames.tolist() == track.cameras[0].footage_frames.tolist()


def test_a_newer_track_is_refused_with_what_to_do(tmp_path):
    with np.load(FILES / f"track_{VERSION}.npz") as file:
        arrays = dict(file)
    header = re.sub(rb'"version": \d+', b'"version": %d' % (VERSION + 1), arrays["header"].tobytes())
    write_npz(tmp_path / "newer.npz", {**arrays, "header": np.frombuffer(header, np.uint8)})
    with pytest.raises(UserError, match=f"format version {VERSION + 1}; this FlowFace reads up to") as caught:
        load_track(tmp_path / "newer.npz")
    assert caught.value.hint.startswith("Update FlowFace")
