"""Calibrations that know every picture give each view the camera that took its pictures, if it stood still."""

from __future__ import annotations

import pytest
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import Calibration, cameras_for_views
from backend.cameras.named import NamedCamera
from backend.cameras.view_matching import series_name
from backend.errors import UserError
from protocol.messages import CameraSpec


def picture(name, place, *, degrees=0.0, focal=900.0):
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    rows = [(*row, shift) for row, shift in zip(turn.tolist(), (float(place), 0.0, 1.0), strict=True)]
    spec = CameraSpec((640, 480), focal, world_to_camera=tuple(number for row in rows for number in row))
    return NamedCamera(name, spec, picture=True)


def rig(*names, moving=()):
    """Camera 0 stands at 0, camera 1 at 1 and so on; a moving one is elsewhere in each picture."""
    found = []
    for index, camera in enumerate(names):
        for number in range(1, 5):
            place = index + (0.3 * number if camera in moving else 0.001 * number)  # COLMAP solves for each picture
            found.append(picture(camera.format(number), place))
    return Calibration(tuple(found), metric=False)


def places(calibration, *paths):
    views = [(path, f"view {index}") for index, path in enumerate(paths)]
    return [round(spec.world_to_camera[3]) for spec in cameras_for_views(calibration, views)]


FOLDERS = rig("cam0/{:04d}.png", "cam1/{:04d}.png")


@pytest.mark.parametrize(
    "paths",
    [
        ("/x/rig/cam1/0001.png", "/x/rig/cam0/0001.png"),
        ("/x/rig/CAM1/0003.PNG", "/x/rig/cam0/0001.png"),
        ("/x/rig/cam1/0000.png", "/x/rig/cam0/0000.png"),  # a picture that was not in the reconstruction
        ("C:\\rig\\cam1\\0001.png", "C:\\rig\\cam0\\0001.png"),
        ("/x/rig/cam1/0001.jpg", "/x/rig/cam0/0001.jpg"),
        ("/x/rig/cam1", "/x/rig/cam0"),
        ("/x/rig/cam1/%04d.png", "/x/rig/cam0/%04d.png"),
        ("/x/cam1.mp4", "/x/cam0.mp4"),
    ],
)
def test_pictures_of_a_folder_for_each_camera(paths):
    assert places(FOLDERS, *paths) == [1, 0]


def test_other_ways_to_name_pictures():
    flat = rig("left_{:03d}.png", "right_{:03d}.png")
    assert places(flat, "/x/right_001.png", "/x/left_001.png") == [1, 0]
    assert places(flat, "/x/right.mov", "/x/left.mov") == [1, 0]
    deep = rig("./images/a/frame_{:03d}.png", "./images/b/frame_{:03d}.png")
    assert places(deep, "/d/images/b/frame_002.png", "/d/images/a/frame_002.png") == [1, 0]
    assert places(deep, "/d/b/frame_100.png", "/d/a/frame_100.png") == [1, 0]
    stills = Calibration(tuple(picture(f"IMG_{n}.jpg", n) for n in range(3)), metric=False)
    assert places(stills, "/x/IMG_2.jpg", "/x/IMG_1.jpg") == [2, 1], "pictures of one series are several cameras"
    ordered = rig("p{:02d}.png", "q{:02d}.png")
    assert places(ordered, "/x/one.mp4", "/x/two.mp4") == [0, 1]


@pytest.mark.parametrize(
    "paths", [("/x/cam0/0001.png", "/x/cam1/0001.png"), ("/x/cam0", "/x/cam1"), ("/x/cam0.mp4", "/x/cam1.mp4")]
)
def test_a_camera_that_moves_is_refused(paths):
    calibration = rig("cam0/{:04d}.png", "cam1/{:04d}.png", moving=("cam1/{:04d}.png",))
    with pytest.raises(UserError, match=r"in 4 pictures \(“cam1”.*cameras have to stand still") as caught:
        places(calibration, *paths)
    assert caught.value.code == "calibration_views" and paths[1] in caught.value.message


@pytest.mark.parametrize("change", [{"degrees": 1.0}, {"focal": 950.0}])
def test_another_turn_or_lens_is_another_camera(change):
    cameras = (picture("a/1.png", 0), picture("a/2.png", 0, **change), picture("b/1.png", 1), picture("b/2.png", 1))
    with pytest.raises(UserError, match="“a”"):
        places(Calibration(cameras, metric=False), "/x/a/1.png", "/x/b/1.png")


def test_what_cannot_be_told_is_refused():
    with pytest.raises(UserError, match="2 views, and cameras “cam0”, “cam1”, “cam2”"):
        places(rig(*(f"cam{i}/{{:04d}}.png" for i in range(3))), "/x/one.mp4", "/x/two.mp4")
    with pytest.raises(UserError, match=r"no camera for /x/cam7/0001\.png; it has “cam0”, “cam1”"):
        places(FOLDERS, "/x/cam0/0001.png", "/x/cam7/0001.png")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("cam0/0001.png", "cam0"),
        ("left_0001.png", "left"),
        ("a/b/frame-12_left.jpg", "a/b/frame_left"),
        ("portrait.png", "portrait"),
        ("0" * 900 + "x" * 99, "x" * 99),
    ],
)
def test_names_of_series(path, name):
    assert series_name(path) == name
