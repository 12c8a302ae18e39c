"""A take built in Blender: head, armature, cameras and their animation."""
