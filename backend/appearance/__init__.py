"""A person's appearance model, learned from a tracked take, and the network that drives it from single pictures."""
