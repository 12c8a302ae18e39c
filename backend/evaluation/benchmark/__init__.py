"""Sequences rendered from the ICT-FaceKit head, with exact truth: made from a seed when they are first asked for."""

from backend.evaluation.benchmark.ict_head import IctHead, load_ict_head
from backend.evaluation.benchmark.make import BenchmarkSequence, default_cache, render_sequence, render_sequences
from backend.evaluation.benchmark.specs import PERFORMANCES, SequenceSpec, benchmark_sequences
from backend.evaluation.benchmark.truth import Truth, load_truth, load_truth_full

__all__ = [
    "PERFORMANCES",
    "BenchmarkSequence",
    "IctHead",
    "SequenceSpec",
    "Truth",
    "benchmark_sequences",
    "default_cache",
    "load_ict_head",
    "load_truth",
    "load_truth_full",
    "render_sequence",
    "render_sequences",
]
