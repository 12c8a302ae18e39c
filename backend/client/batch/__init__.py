"""Many clips tracked one after the other or side by side: ``flowface batch``."""
