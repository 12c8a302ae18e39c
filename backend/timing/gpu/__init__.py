"""``bootstrap.py test --cuda``: everything that runs on a GPU against the CPU's results, and timed, in one JSON."""
