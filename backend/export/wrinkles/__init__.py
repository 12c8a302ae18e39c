"""Wrinkles for programs that take no geometry nodes: the maps themselves, and what they make of each frame."""
