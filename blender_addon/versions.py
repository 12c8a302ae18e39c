"""The add-on's version beside the backend's. Knows nothing of bpy."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

MANIFEST = Path(__file__).parent / "blender_manifest.toml"


@functools.cache
def own_version() -> str:
    """The version that this extension was built as; "" in a checkout, whose add-on and backend are one."""
    return str(tomllib.loads(MANIFEST.read_text(encoding="utf-8")).get("version", ""))


def mismatch(own: str, backend: str) -> str:
    """A sentence where add-on and backend are of different versions; "" where they agree, or one is not known."""
    if not own or not backend or own == backend:
        return ""
    return f"The add-on is {own}, the backend {backend}: install the same version of both."
