"""Public challenges by their own protocols, on folders that the user has: ``flowface challenge …``."""
