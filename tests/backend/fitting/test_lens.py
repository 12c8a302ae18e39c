"""What a lens is told to be, and where the optical axis of a cropped picture is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, KnownCamera, View, fit_take
from backend.fitting.types import ToldFocal
from backend.synthesis.performance import Performance
from tests.backend.fitting.made_takes import DISTANCE, FOCAL_PX, SIDE, Seen, head, noise, performance, view

FRAMES = 16
CENTRE = SIDE / 2
OFF = (100.0, -50.0)  # pixels of 512


def cropped(off: tuple[float, float] = OFF) -> Performance:
    """A turning head in a picture whose optical axis is ``off`` its centre."""
    time = np.arange(FRAMES)
    turn = np.stack([20 * np.sin(time / 3), 8 * np.cos(time / 2)], axis=1)
    return replace(performance(FRAMES, degrees=turn), principal_point=CENTRE + np.array(off))


def fit(truth: Performance, camera: KnownCamera, options: FitOptions | None = None) -> FitResult:
    seen = view(truth, Seen(noise=noise(FRAMES, 0.7)))
    return fit_take(head(), [View(seen.alignment, camera)], options)


def turn_error(fitted: FitResult, truth: Performance) -> float:
    """Mean, in degrees."""
    off = Rotation.from_matrix(fitted.head_rotation) * Rotation.from_rotvec(truth.head_rotation).inv()
    return float(np.rad2deg(off.magnitude()).mean())


@pytest.mark.parametrize("focal_px", [FOCAL_PX, None])
def test_the_optical_axis_of_a_cropped_picture_is_found_where_that_is_asked(focal_px: float | None) -> None:
    truth = cropped()
    found = fit(truth, KnownCamera(focal_px), FitOptions(solve_principal_point=True))
    # pixels: 3; 112 where the picture's centre is taken
    assert np.linalg.norm(np.subtract(found.cameras[0].principal_point, truth.principal_point)) < 8.0
    # degrees: 0.4; 8
    assert turn_error(found, truth) < 0.8
    assert turn_error(fit(truth, KnownCamera(focal_px)), truth) > 4.0


def test_a_whole_picture_loses_little_where_its_axis_is_solved_for() -> None:
    found = fit(cropped((0.0, 0.0)), KnownCamera(), FitOptions(solve_principal_point=True))
    assert np.abs(np.subtract(found.cameras[0].principal_point, CENTRE)).max() < 6.0


def test_a_given_principal_point_is_kept() -> None:
    truth = cropped()
    given = (CENTRE + OFF[0], CENTRE + OFF[1])
    found = fit(truth, KnownCamera(principal_point=given), FitOptions(solve_principal_point=True))
    assert found.cameras[0].principal_point == given
    assert turn_error(found, truth) < 0.4


def test_a_long_take_solves_it_on_its_key_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.fitting.fit.WHOLE", 10)
    truth = cropped()
    found = fit(truth, KnownCamera(), FitOptions(solve_principal_point=True))
    assert np.linalg.norm(np.subtract(found.cameras[0].principal_point, truth.principal_point)) < 12.0


def test_a_focal_length_that_a_picture_tells_is_nearly_kept() -> None:
    """A face twice as far away through a lens twice as long, in a single blurred picture: it cannot tell by itself."""
    truth = performance(1, degrees=(10.0, 3.0), distance=2 * DISTANCE, focal_px=2 * FOCAL_PX)
    seen = view(truth, Seen(sigma=8.0)).alignment
    (usual,) = fit_take(head(), [View(seen, KnownCamera())]).cameras
    assert usual.focal_px < 1.6 * FOCAL_PX
    for told in (1.8, 2.0, 2.2):
        camera = KnownCamera(focal_told=ToldFocal(told * FOCAL_PX, 0.03))
        assert fit_take(head(), [View(seen, camera)]).cameras[0].focal_px == pytest.approx(told * FOCAL_PX, rel=0.02)
