"""Adaptation of the alignment network to one actor and camera, from unlabelled footage (seeds/003 §3.2)."""
