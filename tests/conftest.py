"""Fixtures every test may use."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from backend.openblas import choose_kernels

if TYPE_CHECKING:
    from backend.head_model.model import HeadModel

# torch loads Triton when an optimiser is first made, and that crashes once Mesa's LLVM is in the process; not before.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

choose_kernels()  # before numpy is imported, as the command line does
# Before torch is imported: threads that spin while they wait make small solves twenty times slower on busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:  # one core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's beside the one that draws: an eighth of the time of a picture

# A busy machine is slow, and no test is about time.
settings.register_profile("flowface", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flowface")

REPO_ROOT = Path(__file__).resolve().parent.parent


ASKED_FOR_BY_NAME = frozenset({"build", "gui"})
"""Markers whose tests run only where the ``-m`` of the command line names them."""
LEFT_OUT_BY_FAST = frozenset({"real", "slow"})
"""Markers whose tests ``--fast`` leaves out."""
DEAREST = ("backend/pipeline/test_clips.py", "blender/test_real_playback.py")
"""Files that take over a minute, which come first: at the end of a run one core would wait for the other's."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fast``, beside pytest's own options."""
    text = "leave out slow tests and those that read real footage"
    parser.getgroup("flowface").addoption("--fast", action="store_true", help=text)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: half a million objects are not searched for garbage in the meantime."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what reads real footage, leave out what the command line does not ask for, and begin with the dearest."""
    unwanted = ASKED_FOR_BY_NAME - set(re.findall(r"\w+", config.getoption("markexpr")))
    if config.getoption("fast"):
        unwanted |= LEFT_OUT_BY_FAST
    wanted, left_out = [], []
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("real")
        (left_out if any(item.get_closest_marker(name) for name in unwanted) else wanted).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = wanted
    items.sort(key=lambda item: not item.path.as_posix().endswith(DEAREST))


@pytest.fixture(scope="session", autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither see nor disturb the backend of whoever runs them, nor use their keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWFACE_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


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


@pytest.fixture(scope="session")
def benchmark_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all of xdist's processes share: what is dear is rendered and registered once in it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "benchmark_cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def registered_ict(shared_data: Path, benchmark_cache: Path) -> HeadModel:
    """The ICT head in the canonical atlas, registered once in ``benchmark_cache`` (17 s of one core)."""
    from backend.evaluation import uncertainty

    with FileLock(benchmark_cache / "registered_ict.lock"):
        return uncertainty.registered_ict(shared_data / "ict" / "ict_facekit.npz", benchmark_cache)
