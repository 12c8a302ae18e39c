"""Tracked takes as training data of speech-driven animation."""
