"""Training samples: where they come from, mixed, and kept in shards."""
