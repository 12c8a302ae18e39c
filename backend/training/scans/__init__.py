"""Scans to learn from: the open head fitted to raw scans, landmarks carried to expressions, and pictures of both."""
