"""MediaPipe's own FaceMesh as it comes, and how its points are joined: for renders of heads, and as a baseline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Edges = frozenset[tuple[int, int]]


class FaceMeshSolution(AbstractContextManager["FaceMeshSolution", None]):
    """The face mesh of the wheel, with irises; ``still`` forgets each picture, else it follows the last one's face."""

    def __init__(self, *, still: bool = True, min_confidence: float = 0.5) -> None:
        import mediapipe

        self._network: Any = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=still, refine_landmarks=True, max_num_faces=1, min_detection_confidence=min_confidence
        )

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Points (478,3) of the face in an RGB image (H,W,3), in units of its sides (z of its width), or None."""
        found = self._network.process(image).multi_face_landmarks
        return np.array([(p.x, p.y, p.z) for p in found[0].landmark], np.float64) if found else None

    def __exit__(self, *_: object) -> None:
        self._network.close()


def still_face_mesh() -> FaceMeshSolution:
    """The mesh for renders of heads, which look little like photographs: less must do."""
    return FaceMeshSolution(min_confidence=0.3)


def tesselation() -> Edges:
    """Pairs of neighbours among the 468 points of the surface."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    return frozenset(FACEMESH_TESSELATION)


def face_oval() -> Edges:
    """Pairs of neighbours along the face's outline."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_FACE_OVAL

    return frozenset(FACEMESH_FACE_OVAL)
