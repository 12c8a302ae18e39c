"""A truth of meaning: a character that Apple's curves drive, filmed and tracked, and the weights compared."""
