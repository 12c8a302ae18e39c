"""The face finder that footage is searched with."""

from __future__ import annotations

from functools import lru_cache

from backend.alignment.types import FaceFinder


@lru_cache
def face_finder() -> FaceFinder:
    """The face finder, one for all who ask: it is dear to make, and not safe to call from two threads at once."""
    from backend.alignment.landmarks.face_finder import BlazeFaceFinder

    return BlazeFaceFinder()
