"""A solution's head in the world."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.fitting.types import Solution
from backend.head_model.model import HeadModel, posed_vertices
from backend.head_model.personal import with_corrections


def neutral_vertices(head: HeadModel, solution: Solution) -> NDArray[np.float32]:
    """(V,3) metres, head space: the person's neutral with δ_d."""
    return head.neutral(solution.identity) + solution.deformation.astype(np.float32)


def world_vertices(
    head: HeadModel,
    solution: Solution,
    frames: NDArray[np.integer[Any]] | slice = slice(None),
    dtype: type[np.floating[Any]] = np.float32,
) -> NDArray[Any]:
    """Vertices (n,V,3) in the world, metres, at some of a solution's frames; ``dtype`` is the precision of the pose."""
    neutral = neutral_vertices(head, solution)
    person = with_corrections(head, solution.action_corrections)
    posed = posed_vertices(person, neutral, solution.expression[frames], solution.gaze[frames]).astype(dtype)
    rotation = solution.head_rotation[frames].astype(dtype)
    return posed @ rotation.transpose(0, 2, 1) + solution.head_translation[frames, None].astype(dtype)
