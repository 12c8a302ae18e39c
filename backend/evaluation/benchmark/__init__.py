"""Sequences rendered from ICT-FaceKit's and MakeHuman's people, with exact truth: made from a seed when asked for."""

from backend.evaluation.benchmark.head import BenchmarkHead
from backend.evaluation.benchmark.heads import benchmark_head
from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.evaluation.benchmark.make import BenchmarkSequence, default_cache, render_sequence, render_sequences
from backend.evaluation.benchmark.makehuman_head import load_makehuman_head
from backend.evaluation.benchmark.rigs import RenderedRig, RigSpec, benchmark_rigs, render_rig
from backend.evaluation.benchmark.specs import PERFORMANCES, SequenceSpec, benchmark_sequences
from backend.evaluation.benchmark.truth import Truth, load_truth, load_truth_full

__all__ = [
    "PERFORMANCES",
    "BenchmarkHead",
    "BenchmarkSequence",
    "RenderedRig",
    "RigSpec",
    "SequenceSpec",
    "Truth",
    "benchmark_head",
    "benchmark_rigs",
    "benchmark_sequences",
    "default_cache",
    "load_ict_head",
    "load_makehuman_head",
    "load_truth",
    "load_truth_full",
    "render_rig",
    "render_sequence",
    "render_sequences",
]
