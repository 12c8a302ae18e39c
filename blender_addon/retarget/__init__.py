"""Tracked expressions on the user's own characters: mappings, drivers and keys, bones, calibration, preview."""
