"""Characters that move by bones: links, eyes, neck and head, recorded poses, face rigs that are known."""
