"""The people and sequences for training, for choosing options and for testing."""
