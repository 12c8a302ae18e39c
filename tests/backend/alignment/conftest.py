from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.footage import read_image


@pytest.fixture(scope="session")
def aligner() -> Iterator[LandmarkAligner]:
    made = LandmarkAligner()
    yield made
    made.close()


@pytest.fixture(scope="session")
def finder() -> Iterator[BlazeFaceFinder]:
    made = BlazeFaceFinder()
    yield made
    made.close()


@pytest.fixture(scope="session")
def portraits(shared_data: Path) -> list[NDArray[np.uint8]]:
    """Frontal photographs of eight people, 450 px square, outer eye corners about 100 px apart."""
    files = sorted((shared_data / "photos" / "london_neutral").glob("*.jpg"))[:8]
    return [np.asarray(cv2.resize(read_image(f), (450, 450), interpolation=cv2.INTER_AREA), np.uint8) for f in files]


@pytest.fixture(scope="session")
def portrait(portraits: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The first of ``portraits``."""
    return portraits[0]
