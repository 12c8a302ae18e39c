"""Footage, actor and characters side by side in a scene of their own, and as a film."""
