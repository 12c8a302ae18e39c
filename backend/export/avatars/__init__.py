"""Takes as head avatars' trainers read them: pictures, masks, cameras, and the head's mesh or parameters by frame."""
