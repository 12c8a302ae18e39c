"""The landmark network as MediaPipe's graph runs it, and how its points are joined."""

from __future__ import annotations

from collections import Counter

import numpy as np
from skimage.data import astronaut

from backend.alignment.landmarks.plain_mesh import PlainFaceMesh, face_oval, tesselation


def test_the_mesh_is_one_sheet_with_the_oval_at_its_rim() -> None:
    edges, oval = tesselation(), face_oval()
    assert {i for edge in edges for i in edge} == set(range(468))
    neighbours = {i: {a + b - i for a, b in edges if i in (a, b)} for i in range(468)}
    assert all(len(n) >= 3 for n in neighbours.values())
    assert all((min(edge), max(edge)) in edges for edge in oval)
    assert set(Counter(i for edge in oval for i in edge).values()) == {2}


def test_a_still_is_forgotten_and_a_clip_is_followed() -> None:
    picture = astronaut()
    away = np.roll(picture, 25, axis=1)
    far = np.ascontiguousarray(np.roll(picture, (200, 250), axis=(0, 1)))
    blank = np.zeros_like(picture)
    with PlainFaceMesh() as still, PlainFaceMesh(still=False) as clip:
        first = still(picture)
        assert first is not None
        assert first.shape == (478, 3)
        for shown in (away, blank, far, picture):
            still(shown)
        np.testing.assert_array_equal(still(picture), first)
        np.testing.assert_array_equal(clip(picture), first)
        followed = clip(away)
        assert followed is not None
        np.testing.assert_allclose((followed - first)[:, :2].mean(axis=0) * 512, (25, 0), atol=3)
        assert clip(blank) is None
        found = clip(far)
        assert found is not None
        np.testing.assert_allclose((found - first)[:, :2].mean(axis=0) * 512, (250, 200), atol=5)
