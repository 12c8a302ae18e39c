"""The open head finds itself again in a scan of somebody whose every place is known, turned and in another unit."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import UserError
from backend.head_model.registration.nonrigid import Step
from backend.head_model.rigid import Similarity
from backend.training.scans.folds import turned_over, unfolded
from backend.training.scans.landmarks import LandmarkFile
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.register import open_rim, register_scan

from .people import HEAD, clicks, person, scanned

SHORT = (Step(10.0, 0.015, 2.0, 1), Step(1.0, 0.008, 0.5, 1), Step(0.1, 0.005, 0.1, 1))
PLACED = Similarity(100.0, Rotation.from_euler("xyz", [0.4, 2.0, -0.3]).as_matrix(), np.array([30.0, -200.0, 12.0]))


@pytest.mark.slow
def test_a_turned_scan_in_centimetres_is_found_where_it_is() -> None:
    true = person(eyeBlinkLeft=1.0, eyeBlinkRight=1.0, mouthSmileLeft=0.4, browInnerUp=0.5)
    # other than any identity of the basis: the bending has work to do
    true[:, 2] += 0.002 * np.sin(true[:, 0] / 0.01) * (true[:, 2] > 0)
    wanted = PLACED.apply(true)
    marks = LandmarkFile(PLACED.apply(clicks(true)))
    assert marks.shut() == (True, True)
    found = register_scan(HEAD, scanned(wanted), marks, unit=0.01, schedule=SHORT)

    assert found.report.turned == 0
    assert found.report.surface_mean_mm < 0.3
    assert found.report.known > 0.8
    apart = np.linalg.norm(found.vertices - wanted * 0.01, axis=1)
    face = HEAD.regions["face"] & found.known
    assert np.median(apart[face]) < 0.0008
    lids = HEAD.regions["lids"] & found.known
    assert np.median(apart[lids]) < 0.001
    # what no scanner sees is not known, and eyes stay round
    assert not found.known[~HEAD.regions["skin"]].any()
    ball = found.vertices[HEAD.regions["left_eyeball"]]
    before = HEAD.template[HEAD.regions["left_eyeball"]]
    sizes = [np.linalg.norm(points - points.mean(axis=0), axis=1) for points in (ball, before)]
    assert np.ptp(sizes[0] / sizes[1]) < 1e-3


def test_a_wrong_unit_is_named() -> None:
    true = person()
    with pytest.raises(UserError) as caught:
        register_scan(HEAD, scanned(true * 1000), LandmarkFile(clicks(true * 1000)), unit=0.01)
    assert caught.value.code == "head_scale"
    assert "9.7 times" in caught.value.message and "--unit" in caught.value.hint


def test_rims_are_where_the_surface_ends_not_where_a_picture_has_its_seam() -> None:
    #   two squares side by side; the second has its own copies of the shared corners
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 0]], float)
    fan = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.int32)
    assert open_rim(ScanMesh(points, fan)).all()
    box = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], float)  # the last one is a copy
    closed = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [4, 3, 2]], np.int32)
    assert not open_rim(ScanMesh(box, closed)).any()


def test_a_fold_is_smoothed_and_the_rest_stays() -> None:
    side = 9
    x, y = np.meshgrid(np.arange(side, dtype=float), np.arange(side, dtype=float))
    flat = np.column_stack([x.ravel(), y.ravel(), np.zeros(side * side)])
    cells = np.arange(side * side).reshape(side, side)
    a, b, c, d = (part.ravel() for part in (cells[:-1, :-1], cells[:-1, 1:], cells[1:, 1:], cells[1:, :-1]))
    triangles = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])]).astype(np.int32)
    moved = flat + np.array([0, 0, 3])
    moved[cells[4, 4]] += [2.5, 0, 0]  # beyond its neighbours
    assert turned_over(flat, moved, triangles).any()
    again = unfolded(flat, moved, triangles, np.zeros(side * side, bool))
    assert not turned_over(flat, again, triangles).any()
    far = np.abs(flat[:, :2] - 4).max(axis=1) > 3
    assert np.allclose(again[far], moved[far])
    assert np.allclose(again[:, 2], 3)
