"""The result of a take and its file."""
