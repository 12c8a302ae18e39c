"""What a job's work is made from, as one key: what an earlier run of the job left counts only under the same one."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from backend.alignment.flowface.adapted import named_weights
from backend.alignment.flowface.weights import default_weights
from backend.alignment.registry import takes_weights
from backend.head_model.library import mica_path
from backend.pipeline.report import PACKAGES
from protocol.job import MICA, TrackJob

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.head_model.model import HeadModel
    from backend.pipeline.open_views import OpenView

FORMAT = 1
"""Of what is kept; another number wherever the same bytes would mean something else."""
FURTHER_PACKAGES = ("opencv-python", "scipy", "pillow")


def key_of(spec: TrackJob, head: HeadModel, aligner: Aligner, opened: Sequence[OpenView]) -> str:
    """64 hex digits of a SHA-256 over the job, the head, the aligner with its points and weights, MICA's where it is
    asked, the versions of what computes, and the footage's files by name, size and time of change."""
    weights = Path(spec.options.weights) if spec.options.weights else default_weights()
    weights = named_weights(weights) or weights
    facts: dict[str, object] = {
        "format": FORMAT,
        "job": spec.to_plain(),
        "matches_skin": spec.options.matches_skin(len(spec.views)),  # what is left open may mean another thing today
        "head": [head.id, head.hash],
        "aligner": [aligner.name, aligner.point_sets],
        "weights": state_of(weights) if takes_weights(spec.aligner) else None,
        "footage": [[state_of(file) for file in _files(view)] for view in opened],
        "python": platform.python_version(),
        "packages": [_version(name) for name in (*PACKAGES, *FURTHER_PACKAGES)],
    }
    if spec.neutral_from == MICA:
        facts["mica"] = state_of(mica_path())
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # installed under another name
        return package


def _files(view: OpenView) -> Sequence[Path]:
    return view.info.files or (view.info.path,)


def state_of(file: Path) -> tuple[str, int, int]:
    """A file by name, size and time of change; none of both where it cannot be looked at."""
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), found.st_size, found.st_mtime_ns
