"""Rendered training pictures: heads with any face, expression, pose, skin and light, whose points are known exactly."""
