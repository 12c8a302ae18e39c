"""Landmarks and marks that people annotated: 300-W, 300-VW, and marks of a take's own skin."""
