"""The FlowFace backend: footage → alignment → fitting → track. Runs outside Blender; never imports bpy."""

__version__ = "0.1.0"
