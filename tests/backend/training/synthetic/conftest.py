"""One renderer for all tests of rendered samples: painting and registering take longer than drawing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.training.synthetic.source import SyntheticSource


@pytest.fixture(scope="package")
def open_source() -> Iterator[SyntheticSource]:
    with SyntheticSource() as source:
        yield source


@pytest.fixture(scope="package")
def both_source(shared_data: Path) -> Iterator[SyntheticSource]:
    with SyntheticSource(shared_data / "ict" / "ict_facekit.npz") as source:
        yield source
