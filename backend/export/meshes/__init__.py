"""A posed head as a mesh file for each frame of a take."""
