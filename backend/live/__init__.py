"""A face as it moves: a camera, a played video or a Live Link stream drives a head, picture by picture."""
