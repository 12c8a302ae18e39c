"""Calibrations as other programs write them, a format a module; ``detect`` tells which one a file is of."""
