"""FlowFace in Blender: footage of a face in, an animated, editable head and camera out."""

from __future__ import annotations


def register() -> None:
    """Enable the add-on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Disable the add-on."""
    from . import registration

    registration.unregister()
