"""Benchmarks of time: aligners and solver, as ratios in one run."""
