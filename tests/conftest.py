"""Fixtures every test may use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

# torch loads Triton when an optimiser is first made, and that crashes once Mesa's LLVM is in the process; not before.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# Before torch is imported: threads that spin while they wait make small solves twenty times slower on busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:  # one core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

REPO_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout's root folder."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips, photographs and scans beside the checkout; its absence skips a test, except in CI."""
    folder = REPO_ROOT.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    reason = "the development data folder ../shared/data is not beside this checkout"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, and CI must not pass without it")
    pytest.skip(reason)
