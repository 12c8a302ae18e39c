"""Minimisers of the energy, and what its curvature tells of uncertainty."""
