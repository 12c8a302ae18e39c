"""The upper face's dynamics deviation against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.metrics.speech import upper_face_dynamics_deviation


def test_livelier_truth_counts_up_and_livelier_predictions_down() -> None:
    truth = np.zeros((4, 2, 3))
    truth[::2, 0] = [0.006, 0, 0.008]  # 1 cm: squared 1e-4, 0, 1e-4, 0 → standard deviation 0.5e-4; vertex 1 rests
    assert upper_face_dynamics_deviation(truth, np.zeros((4, 2, 3))) == pytest.approx(0.25e-4)
    assert upper_face_dynamics_deviation(truth, 2 * truth) == pytest.approx(0.25e-4 - 1e-4)
    assert upper_face_dynamics_deviation(truth, -truth[::-1]) == pytest.approx(0, abs=1e-12)
    assert upper_face_dynamics_deviation(np.zeros((4, 2, 3)), np.full((4, 2, 3), 0.3)) == pytest.approx(0)  # it stands
    with pytest.raises(ValueError, match="cannot be compared"):
        upper_face_dynamics_deviation(truth, truth[1:])
    with pytest.raises(ValueError, match="cannot be compared"):
        upper_face_dynamics_deviation(truth[:, :0], truth[:, :0])
