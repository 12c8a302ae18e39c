"""Layers over a take's curves that do not destroy, bakes of what they show, and curves thinned out to Bézier keys."""
