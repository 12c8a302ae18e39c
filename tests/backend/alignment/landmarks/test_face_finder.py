"""The turn of a face in the image, from the detector's own points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.alignment.landmarks.face_finder import BlazeFaceFinder, roll_of
from backend.footage import open_footage

FRONT = np.array([(-30.0, 0.0), (30.0, 0.0), (0.0, 60.0)])  # right eye, left eye, mouth
PROFILE = np.array([(2.0, 1.0), (-3.0, -1.0), (8.0, 55.0)])  # both eyes in one place, in the wrong order


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Clockwise as seen."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[c, s], [-s, c]])


@pytest.mark.parametrize("degrees", [-170, -90, -20, 0, 35, 120])
def test_a_face_is_turned_as_its_eyes_are(degrees: float) -> None:
    assert np.rad2deg(roll_of(*turned(FRONT, degrees))) == pytest.approx(degrees)


@pytest.mark.parametrize("degrees", [-60, 0, 90])
def test_in_profile_the_mouth_tells(degrees: float) -> None:
    off = np.rad2deg(roll_of(*turned(PROFILE, degrees))) - degrees
    assert abs((off + 180) % 360 - 180) < 15


def test_no_profile_of_the_scan_is_upside_down(shared_data: Path) -> None:
    """In its view_05 the detector sees the left eye to the right of the other one."""
    finder = BlazeFaceFinder()
    for number in (3, 4, 5, 6):
        picture = shared_data / "scan" / "lee_perry_smith" / f"view_{number:02d}.jpg"
        box = finder.find(next(iter(open_footage(picture, alone=True))).image)[0]
        assert abs(np.rad2deg(box.roll)) < 30
    finder.close()
