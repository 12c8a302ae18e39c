"""NoW's layout and its measure, on points whose distances are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.now.layout import NowPicture, read_layout, read_picked_points
from backend.evaluation.challenges.now.run import summarise
from backend.evaluation.challenges.now.submission import write_prediction
from backend.evaluation.challenges.now.together import one_take
from backend.evaluation.challenges.scan_distance import face_crop, scan_to_mesh
from backend.head_model.converters.obj import read_obj
from backend.head_model.rigid import Similarity
from backend.head_model.surface import MeshSurface
from backend.observations import PointSet, ViewAlignment
from tests.backend.evaluation.challenges.made import KEYPOINTS, plate, write_obj, write_pp


def now_folder(folder: Path, lines: list[str], scans: tuple[str, ...] = ()) -> Path:
    for line in lines:
        place = folder / "NoW_Dataset" / "final_release_version" / "iphone_pictures" / line
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    (folder / "imagepathsvalidation.txt").write_text("\n".join(lines) + "\n")
    for person in scans:
        write_obj(folder / "scans" / person / "natural.000001.obj", *plate(200, 4))
        write_pp(folder / "scans_lmks_onlypp" / person / "natural.000001_picked_points.pp", KEYPOINTS)
    return folder


LINES = ["FaMoS_1_TA/multiview_neutral/IMG_1.jpg", "FaMoS_1_TA/selfie/IMG_2.jpg", "FaMoS_2_TA/selfie/IMG_3.jpg"]


def test_a_scan_is_cropped_about_a_point_three_tenths_up_the_nose() -> None:
    # outer corners 90 apart, inner ones' middle 40 above the nose's base: centre (0, 2, 0), radius 1.4 · 130 / 2 = 91
    points = np.array([[90.9, 2, 0], [91.1, 2, 0], [0, -88.9, 0], [0, -89.1, 0], [0, 2, 91.0]])
    assert face_crop(points, KEYPOINTS).tolist() == [True, False, True, False, True]


def test_a_scan_that_waves_about_a_plane_is_its_wave_away() -> None:
    flat, triangles = plate(300, 60)
    waving = flat + np.array([0, 0, 1.0]) * np.where(np.indices((61, 61)).sum(axis=0).ravel() % 2, 2.0, -2.0)[:, None]
    elsewhere = Similarity(0.004, np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float64), np.array([1.0, 2, 3]))
    surface = MeshSurface(elsewhere.apply(flat), triangles)
    found = scan_to_mesh(waving / 1000, KEYPOINTS / 1000, surface, elsewhere.apply(KEYPOINTS))
    # points of a 5 mm grid within 91 mm of (0, 2)
    assert len(found) == face_crop(waving, KEYPOINTS).sum() == pytest.approx(np.pi * 91**2 / 25, rel=0.02)
    assert found == pytest.approx(np.full(len(found), 0.002), abs=2e-5)


def test_every_point_of_every_picture_counts_once() -> None:
    one, two = (NowPicture("a", "selfie", f"{n}.jpg", Path()) for n in "12")
    other = NowPicture("b", "multiview_neutral", "3.jpg", Path())
    told = summarise([(one, two), (other,)], [np.array([1.0, 2.0]), np.array([9.0])])
    assert told[""] == {"pictures": 3, "measured": 3, "median": 2.0, "mean": 3.0, "std": pytest.approx(np.sqrt(9.2))}
    assert (told["selfie"]["mean"], told["multiview_neutral"]["median"]) == (1.5, 9.0)


def test_the_layout_is_read_with_and_without_scans(tmp_path: Path) -> None:
    bare = read_layout(now_folder(tmp_path / "bare", LINES), "val")
    first = bare.pictures[0]
    assert (first.person, first.category, first.stem) == ("FaMoS_1_TA", "multiview_neutral", "IMG_1")
    assert not bare.scans
    whole = read_layout(now_folder(tmp_path / "whole", LINES, ("FaMoS_1_TA", "FaMoS_2_TA")), "val", "selfie")
    assert [p.stem for p in whole.pictures] == ["IMG_2", "IMG_3"]
    np.testing.assert_allclose(read_picked_points(whole.scans["FaMoS_2_TA"].points), KEYPOINTS)
    (tmp_path / "whole" / "imagepathstest.txt").write_text(LINES[1])
    hidden = read_layout(tmp_path / "whole", "test")
    assert len(hidden.pictures) == 1 and not hidden.scans


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    folder = now_folder(tmp_path, LINES, ("FaMoS_1_TA",))
    gone = folder / "NoW_Dataset" / "final_release_version" / "iphone_pictures" / LINES[1]
    gone.unlink()
    with pytest.raises(UserError) as refused:
        read_layout(folder, "val")
    assert refused.value.code == ErrorCode.CHALLENGE_LAYOUT
    for name in ("FaMoS_1_TA/selfie/IMG_2.jpg", "scans/FaMoS_2_TA/*.obj", "scans_lmks_onlypp/FaMoS_2_TA/*.pp"):
        assert name in refused.value.message.replace("\\", "/")
    with pytest.raises(UserError, match=r"imagepathstest\.txt"):
        read_layout(folder, "test")


def test_picked_points_that_are_not_seven_are_refused_by_name(tmp_path: Path) -> None:
    write_pp(tmp_path / "six.pp", KEYPOINTS[:6])
    with pytest.raises(UserError, match=r"six\.pp.* 6 picked points; seven"):
        read_picked_points(tmp_path / "six.pp")


def test_a_prediction_is_an_obj_and_seven_points_beside_it(tmp_path: Path) -> None:
    vertices, triangles = plate(0.2, 3)
    write_prediction(tmp_path, NowPicture("p", "selfie", "IMG_1.jpg", Path()), vertices, triangles, KEYPOINTS)
    read = read_obj(tmp_path / "p" / "selfie" / "IMG_1.obj")
    np.testing.assert_allclose(read.vertices, vertices, atol=1e-7)
    np.testing.assert_array_equal(read.triangles, triangles)
    np.testing.assert_array_equal(np.load(tmp_path / "p" / "selfie" / "IMG_1.npy"), KEYPOINTS.astype(np.float32))


def test_photographs_of_one_camera_share_its_axis_and_focal_length() -> None:
    def seen(size: tuple[int, int], x: float, y: float) -> ViewAlignment:
        mu = np.array([[[x, y]]], np.float32)
        return ViewAlignment.of(
            PointSet.of("p", mu, np.ones((1, 1), np.float32), np.ones((1, 1), bool)), image_size=size
        )

    # 100 right of the middle of 400 × 300; the same of an upright picture; half of that of one of half the size
    taken = one_take([seen((400, 300), 300, 150), seen((300, 400), 250, 200), seen((200, 150), 150, 75)])
    assert taken.image_size == (400, 400)
    np.testing.assert_allclose(taken.mu, np.tile([[[300, 200]]], (3, 1, 1)))
    assert taken.sigma.ravel().tolist() == [1, 1, 2]
    assert np.diff(taken.times).min() >= 10
