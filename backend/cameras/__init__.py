"""What is known of cameras before a take is fitted: calibration files, and taking lens distortion out of points."""
