"""Cameras as far as known before a take is fitted: calibration files, and taking lens distortion out of points."""
