"""MICA (Zielonka et al. 2022, "Towards Metrical Reconstruction of Human Faces"): a person's neutral from pictures.

The user brings the published checkpoint ``mica.tar``; nothing of it comes with FlowFace.
"""
