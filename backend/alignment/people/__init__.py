"""Which pixels of a picture show a person."""
