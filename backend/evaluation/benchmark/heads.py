"""Which head a sequence of the benchmark is rendered from."""

from __future__ import annotations

from pathlib import Path

from backend.datasets.splits import People
from backend.evaluation.benchmark.head import BenchmarkHead
from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.evaluation.benchmark.makehuman_head import load_makehuman_head


def benchmark_head(people: People, ict_path: Path) -> BenchmarkHead:
    """The head of these people; raises UserError ``ict_missing`` or ``bad_file`` for an archive that does not serve."""
    return load_makehuman_head() if people == "makehuman" else load_ict_head(ict_path)
