"""FlowFace in Blender: footage of a face in, an animated, editable head and camera out."""

from __future__ import annotations

bl_info = {
    "name": "FlowFace",
    "author": "The FlowFace developers",
    "version": (0, 1, 0),
    "blender": (4, 2, 0),
    "location": "3D Viewport > Sidebar > FlowFace",
    "description": "Facial performance tracking: footage in, an animated head and camera out",
    "category": "Animation",
}


def register() -> None:
    """Enable the add-on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Disable the add-on."""
    from . import registration

    registration.unregister()
