"""``flowface demo``: a real photograph and a rendered clip of known truth, through the same path as any footage."""
