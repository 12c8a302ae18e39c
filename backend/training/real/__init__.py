"""Real pictures to learn from: labels made by the first aligner and the fit, textures from photographs."""
