"""What a take becomes in Blender: head, armature, cameras and their animation."""
