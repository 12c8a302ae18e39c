"""What an animator reads off faces, and the gains with which a character measures what the actor does."""
