"""Trackers that are compared: ours, MediaPipe's mesh, and any other's results from a folder."""
