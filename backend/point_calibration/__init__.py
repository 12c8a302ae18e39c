"""Measures what an aligner's points mean on a head: where on the surface they lie, and how far they are off."""
