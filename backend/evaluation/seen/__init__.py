"""What detectors that the tracker does not use see in footage and in the rendered fitted head, compared over time."""
