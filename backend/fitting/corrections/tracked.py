"""A tracked take, ready to be solved again in part: identity, actions and cameras are no unknowns any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.fitting.prepare import Take, prepare
from backend.fitting.types import FitOptions, KnownCamera, Solution, View
from backend.head_model.model import HeadModel
from backend.head_model.personal import with_corrections
from backend.observations import ViewAlignment


@dataclass(frozen=True, eq=False)
class TrackedTake:
    """``take`` starts at what was tracked; its head is the person, whose template is their neutral.

    ``shown`` is that person as whatever poses a track poses them (``backend.track.geometry.person_of``): it is their
    surface that pins lie on.
    """

    take: Take
    shown: HeadModel


def tracked_take(
    head: HeadModel,
    shown: HeadModel,
    alignments: Sequence[ViewAlignment],
    solution: Solution,
    options: FitOptions,
) -> TrackedTake:
    """The take of ``solution``, performed by ``head``, as it was seen: ``alignments`` hold what ideal pinholes see.

    ``shown`` is the head with the person's actions as they are posed. Options of the identity do not matter any more.

    Raises:
        UserError: ``no_face``.
        ValueError: alignments of other frames than the solution's.
    """
    neutral = (head.neutral(solution.identity) + solution.deformation).astype(np.float32)
    person = _with_neutral(with_corrections(head, solution.action_corrections), neutral)
    views = [
        View(alignment, KnownCamera(camera.focal_px, camera.principal_point, camera.world_to_camera))
        for alignment, camera in zip(alignments, solution.cameras, strict=True)
    ]
    options = replace(options, identity_components=0, deform_region=None)
    return TrackedTake(prepare(person, views, options, None, solution), _with_neutral(shown, neutral))


def _with_neutral(head: HeadModel, neutral: NDArray[np.float32]) -> HeadModel:
    return replace(head, template=neutral)
