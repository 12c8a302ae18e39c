"""MediaPipe's networks as face finder and aligner, run by LiteRT from a file of our own; nobody else runs them."""
