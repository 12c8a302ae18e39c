"""From images to surface points in pixels, with uncertainty: the Aligner contract and what implements it."""
