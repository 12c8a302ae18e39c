"""What a character's shape keys mean: by their names, and by what they move."""
