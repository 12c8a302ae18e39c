"""Bringing any head into the canonical atlas: its landmarks, its correspondence with the open head, its actions."""
