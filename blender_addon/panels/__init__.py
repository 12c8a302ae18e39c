"""What the sidebar shows."""
