"""Tracks as other tools read them."""
