"""The evaluation of trackers: the field's measures, a benchmark with exact truth, real data, and baselines beside."""
