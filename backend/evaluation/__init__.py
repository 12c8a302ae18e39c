"""How good a tracker is: the field's measures, a benchmark with exact truth, real data, and peers in the same run."""
