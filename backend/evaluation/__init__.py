"""How good a tracker is: the field's measures, a benchmark with exact truth, real data, and baselines in the same
run."""
