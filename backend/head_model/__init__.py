"""Head models in FLAME form, the open head and its builder."""
