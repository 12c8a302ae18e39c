"""Drawings over footage: fitted heads and what aligners see."""
