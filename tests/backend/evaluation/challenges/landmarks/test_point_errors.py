"""Errors from annotated points, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.challenges.landmarks.point_errors import PointErrors, lost, point_errors
from backend.evaluation.challenges.landmarks.tables import point_sheet, point_summary
from backend.evaluation.store import plain
from tests.backend.evaluation.challenges.landmarks.flat import face_points, flat_mesh

TRUTH = face_points()[None]
FIRST = np.zeros(1, int)
NO_SKIN = np.zeros(3 * 68, bool)
EXACT = 1e-5  # vertices are single precision


def test_a_shift_by_five_pixels_is_five_per_cent() -> None:
    errors = point_errors(TRUTH, flat_mesh(TRUTH + np.array([3.0, 4.0])), FIRST, NO_SKIN)
    told = errors.measures("inter-ocular")
    assert told["inner"] == pytest.approx([0.05], abs=EXACT)
    assert told["points68"] == pytest.approx([0.05], abs=EXACT)
    # The straight jaw is 4 px lower: each annotated point is 4 px above it but the first, 3 px before its end as well.
    assert told["boundary"] == pytest.approx([(16 * 0.04 + 0.05) / 17], abs=EXACT)
    assert told["overall"] == pytest.approx([(told["boundary"][0] + 3 * 0.05) / 4], abs=EXACT)
    assert told["all68"] == pytest.approx([(51 * 0.05 + (16 * 0.04 + 0.05)) / 68], abs=EXACT)
    assert errors.measures("inter-pupil")["inner"] == pytest.approx([5 / 60], abs=EXACT)


def test_points_that_slide_along_the_jaw_leave_it_where_it_is() -> None:
    slid = TRUTH.copy()
    slid[0, :16, 0] += 4.0  # the last stays at the end of the line
    errors = point_errors(TRUTH, flat_mesh(slid), FIRST, NO_SKIN)
    assert errors.jaw == pytest.approx([0.0], abs=1e-3)
    assert errors.jaw_points == pytest.approx([16 * 4 / 17], abs=1e-3)
    told = errors.measures("inter-ocular")
    assert told["all68"] == pytest.approx([0.0], abs=EXACT)
    assert told["points68"] == pytest.approx([16 * 0.04 / 68], abs=EXACT)


def test_the_hidden_half_of_the_jaw_is_no_outline() -> None:
    hidden = flat_mesh(TRUTH, turned_away=range(8))
    # Of the line only that from the ninth point on is seen: the eight before are 80, 70 … 10 px from it.
    assert point_errors(TRUTH, hidden, FIRST, NO_SKIN).boundary == pytest.approx([360 / 17], abs=1e-3)
    assert point_errors(TRUTH, flat_mesh(TRUTH), FIRST, NO_SKIN).boundary == pytest.approx([0.0], abs=1e-3)
    # The silhouette of the skin, here the first point's own triangle of one pixel, stands in for what is hidden.
    skin = np.arange(3 * 68) < 3
    aside = flat_mesh(TRUTH, turned_away=range(1, 8))
    nearest = [0, 9, 19, 29, 39, 30, 20, 10]
    assert point_errors(TRUTH, aside, FIRST, skin).boundary == pytest.approx([sum(nearest) / 17], abs=1e-3)


def test_lost_frames_have_no_error_and_fail() -> None:
    truth = np.repeat(TRUTH, 4, axis=0)
    mesh = flat_mesh(
        truth[:3] + np.array([3.2, 2.4]), tracked=[True, True, False]
    )  # 4 px: half of what counts as failure
    errors = point_errors(truth, mesh, np.array([0, -1, 2, 3]), NO_SKIN)
    assert np.isfinite(errors.inner).tolist() == [True, False, False, False]
    (record,) = [r for r in point_summary({"all": errors}, "inter-ocular") if r["measure"] == "inner"]
    assert (record["count"], record["lost"]) == (4, 3)
    assert record["mean_percent"] == pytest.approx(4.0, abs=1e-3)
    assert record["auc"] == pytest.approx(0.5 / 4, abs=1e-4)
    assert record["failure_rate"] == pytest.approx(3 / 4)


def test_records_hold_what_was_measured() -> None:
    errors = point_errors(TRUTH, flat_mesh(TRUTH + 1.0), FIRST, NO_SKIN)
    both = PointErrors.joined([errors, lost(TRUTH)])
    back = PointErrors.of_record(plain(both.record()))
    np.testing.assert_array_equal(back.inner, both.inner)
    np.testing.assert_array_equal(back.inter_pupil, [60.0, 60.0])
    sheet = point_sheet("300-W", point_summary({"ibug": back}, "inter-pupil"), "inter-pupil", "pictures")
    assert sheet.rows[0] == ("ibug: inner 51", "2", "1", "2.36", "2.36", "35.3", "50.0")  # √2 / 60
