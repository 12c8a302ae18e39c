"""Google's landmark networks as face finder and aligner; nothing outside this folder imports ``mediapipe``."""
