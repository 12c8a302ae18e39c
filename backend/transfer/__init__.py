"""Deformation transfer: the 52 actions of the open head on any face mesh that has none."""
