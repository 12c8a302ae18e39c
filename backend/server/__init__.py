"""Sockets, jobs and their persistence (DESIGN §7)."""
