"""What several commands show and take in a terminal: progress bars and shared options."""
