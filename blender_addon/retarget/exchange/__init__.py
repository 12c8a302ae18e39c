"""Performances and characters out to other programs, and in from them."""
