"""FaceScape's benchmark of single pictures: posed heads compared on a cylinder about the head (Zhu et al. 2023)."""
