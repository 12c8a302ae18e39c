"""Which people and sequences are for training, for choosing options and for testing."""
