"""Several views of one moment, matched by the skin itself: where pictures agree to a fraction of a pixel, cameras and
shape can be told as exactly, which no aligner of faces can."""
