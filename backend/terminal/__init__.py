"""Terminal parts that several commands share: progress bars and options."""
