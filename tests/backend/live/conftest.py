"""The head and the performance that live tests look at."""

from __future__ import annotations

import pytest

from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.synthesis.performance import Performance, demo_performance


@pytest.fixture(scope="session")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="session")
def truth(head: HeadModel) -> Performance:
    """Two and a half seconds at ten pictures a second."""
    return demo_performance(head, frame_count=25, frame_rate=10.0, side=256, focal_px=350.0)
