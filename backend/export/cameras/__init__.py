"""A take's cameras as other tools read them."""
