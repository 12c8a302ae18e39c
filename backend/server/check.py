"""A check of this backend: what works, what does not, and how to mend it, in words."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from backend.errors import UserError
from backend.head_model.library import mica_path
from backend.server.device import require_device
from backend.server.discovery import advertised
from backend.server.health import ask, in_words
from backend.server.jobs import JobStore
from backend.server.storage import storage
from backend.server.worker import load_runner

GIGABYTE = 1e9
LITTLE_ROOM = 2 * GIGABYTE
"""Free bytes below which a take's proxies may not fit: of an hour of 1080p they take about one gigabyte."""
PICTURES = 3


class Verdict(StrEnum):
    """The outcome of one part of the check."""

    GOOD = "good"
    WARNING = "warning"  # it works, but something may be missed
    BAD = "bad"  # nothing can be tracked like this


@dataclass(frozen=True)
class Finding:
    """One part of the check: a sentence, and what to do about it ("" where nothing is to be done)."""

    verdict: Verdict
    sentence: str
    hint: str = ""


def check(jobs_dir: Path, runner: str) -> Iterator[Finding]:
    """Try everything that a job needs, the quick parts first; ``runner`` as ``Server`` takes it. Raises nothing."""
    again = "Install FlowFace's packages again."
    yield _guarded("The version cannot be read", again, _versions)
    yield _guarded("The jobs folder cannot be used", "Choose another --jobs-dir.", lambda: _jobs_folder(jobs_dir))
    if (running := advertised()) is not None:
        yield _guarded("The backend that runs cannot be asked", "Start it again.", lambda: _running(running.endpoint))
    yield _guarded("Videos cannot be read", again, _decoding)
    yield _guarded("The tracker does not load", again, lambda: _tracker(runner))
    if mica_path().exists():
        again = "Add them again: flowface head add-mica FILE."
        found = _guarded("MICA's weights cannot be read", again, _mica)
        yield replace(found, verdict=Verdict.WARNING) if found.verdict is Verdict.BAD else found  # all else works


def _guarded(failure: str, hint: str, part: Callable[[], Finding]) -> Finding:
    try:
        return part()
    except UserError as error:
        return Finding(Verdict.BAD, error.message, error.hint)
    except Exception as error:  # whatever a package raises that is not whole
        return Finding(Verdict.BAD, f"{failure} ({type(error).__name__}: {error}).", hint)


def _versions() -> Finding:
    sentence = f"FlowFace {importlib.metadata.version('flowface')} on Python {platform.python_version()}"
    return Finding(Verdict.GOOD, f"{sentence} ({sys.executable}).")


def _jobs_folder(jobs_dir: Path) -> Finding:
    held = storage(JobStore(jobs_dir))
    with tempfile.TemporaryFile(dir=jobs_dir):  # raises where nothing can be written
        free = shutil.disk_usage(jobs_dir).free
    jobs = f"{held.jobs} job{'' if held.jobs == 1 else 's'}, {held.bytes / GIGABYTE:.1f} GB"
    sentence = f"The jobs folder {jobs_dir} can be written: {jobs}; {free / GIGABYTE:.0f} GB are free."
    if free < LITTLE_ROOM:
        return Finding(Verdict.WARNING, sentence, "Free some space: a long take may not fit.")
    return Finding(Verdict.GOOD, sentence)


def _running(endpoint: str) -> Finding:
    welcome = ask(endpoint)
    if welcome is None:
        sentence = f"Whoever listens at {endpoint} does not answer as a FlowFace backend of this user would."
        return Finding(Verdict.WARNING, sentence, "If it is one, start it again; if not, choose another port.")
    health = welcome.health
    if health is not None and health.folder_problem:
        hint = "Free some space, or connect the disk again."
        return Finding(Verdict.WARNING, f"{in_words(endpoint, welcome)} {health.folder_problem}", hint)
    return Finding(Verdict.GOOD, in_words(endpoint, welcome))


def _decoding() -> Finding:
    import av

    from backend.footage import open_footage
    from backend.footage.encode import encode_evenly

    grey = [np.full((96, 160, 3), 60 * index, np.uint8) for index in range(PICTURES)]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_evenly(clip, grey, 25.0)
        read = sum(1 for _ in open_footage(clip))
    version = av.ffmpeg_version_info
    if read != PICTURES:
        return Finding(
            Verdict.BAD, f"FFmpeg {version} read {read} of {PICTURES} pictures of a video.", "Install PyAV again."
        )
    return Finding(Verdict.GOOD, f"Videos can be read and written (FFmpeg {version}).")


def _tracker(runner: str) -> Finding:
    started = time.monotonic()
    require_device()
    _, device = load_runner(runner)
    return Finding(Verdict.GOOD, f"The tracker loads in {time.monotonic() - started:.0f} s; fits run on {_on(device)}.")


def _mica() -> Finding:
    from backend.head_model.mica.model import load_mica

    load_mica()
    return Finding(Verdict.GOOD, f"MICA's weights can be read ({mica_path()}): --neutral mica works with FLAME heads.")


def _on(device: str) -> str:
    return f"the {device}" if device == "CPU" else (device or "an unknown device")
