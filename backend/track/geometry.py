"""The fitted head as a track's camera sees it. Pure numerics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.head_model.lid_clearance import with_clear_lids
from backend.head_model.model import HeadModel, posed_vertices
from backend.head_model.personal import with_corrections
from backend.track.types import Track
from protocol.arrays import at_frames


def neutral_of(head: HeadModel, track: Track) -> NDArray[np.float32]:
    """The neutral (V,3) of the person tracked: identity and, where the fit solved for one, deformation δ_d."""
    neutral = head.neutral(track.identity)
    return neutral + track.deformation if len(track.deformation) else neutral


@lru_cache(maxsize=4)
def person_of(head: HeadModel, track: Track) -> HeadModel:
    """The head as the person tracked performs it: with the track's ``action_corrections``, and lids clear of the eyes.

    Whatever poses a track poses this one; ``track.head_hash`` is the hash of ``head``. The neutral is ``neutral_of``'s
    with either.

    Raises:
        UserError: ``head_changed`` where the corrections are of another head.
    """
    if track.action_corrections.shape[1] not in (0, head.vertex_count):
        sentence = f"The head “{track.head_id}” has changed since the footage was tracked."
        raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
    return with_clear_lids(with_corrections(head, track.action_corrections), neutral_of(head, track))


def seen_vertices(
    head: HeadModel,
    track: Track,
    frames: NDArray[np.integer[Any]],
    *,
    vertices: NDArray[np.integer[Any]] | None = None,
    neutral: NDArray[np.float32] | None = None,
    view: int = 0,
) -> NDArray[np.float64]:
    """Vertices (n,V,3) as one view sees them in n frames: position in its image in pixels, and depth along z in metres.

    ``frames (n,)`` indexes the track; ``vertices`` keeps only some. ``neutral (V,3)`` saves computing it again from the
    track where this is called often. World to image is seeds/001 eqs. 9 and 10.
    """
    if neutral is None:
        neutral = neutral_of(head, track)
    some = at_frames(track, frames)
    posed = posed_vertices(person_of(head, track), neutral, some.expression, some.gaze)
    if vertices is not None:
        posed = posed[:, vertices]
    rotation = Rotation.from_rotvec(some.head_rotation).as_matrix()
    camera = some.cameras[view]
    extrinsics = camera.world_to_camera
    world = posed.astype(np.float64) @ rotation.transpose(0, 2, 1) + some.head_translation[:, None]
    seen = world @ extrinsics[:, :, :3].transpose(0, 2, 1) + extrinsics[:, None, :, 3]
    seen[..., :2] *= camera.focal_px[:, None, None] / seen[..., 2:]
    seen[..., :2] += camera.principal_point
    return seen
