"""Augmentation of training samples: geometry, pixels, occlusion, backgrounds."""
