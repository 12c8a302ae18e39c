"""Masks of a view as the points that they hide, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.distortion import Lens, distort, lens_of, undistort
from backend.errors import ErrorCode, UserError
from backend.head_model.model import HeadModel
from backend.observations import ViewAlignment
from backend.pipeline.take_frames import frame_index, frames_within
from backend.track.geometry import neutral_of
from backend.track.types import Track
from protocol.corrections import Mask

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


def masked_points(
    masks: Sequence[Mask], view: int, track: Track, head: HeadModel, seen: ViewAlignment, where: str
) -> Bools:
    """(T,N) the points of a view that its masks hide; ``seen`` holds them as an ideal pinhole sees them.

    ``where`` names the take in sentences. Raises UserError ``frames_out_of_range``, ``bad_correction``.
    """
    hidden = np.zeros(seen.valid.shape, bool)
    lens, shown = lens_of(track.cameras[view]), None
    for mask in masks:
        frames = np.arange(len(track.frames))
        if mask.frames is not None:
            frames = frames_within(track, mask.frames, where)
        if not mask.polygon:
            hidden[frames] = True
            continue
        drawn = np.array(mask.polygon, np.float64)
        if mask.drawn_at is None:  # in the picture as displayed, where its edges are straight
            shown = distort(seen.mu, lens) if shown is None else shown
            for t in frames:
                hidden[t] |= inside(drawn, shown[t])
            continue
        corners = carried(_ideal(drawn, mask, lens), frame_index(track, mask.drawn_at, where), view, track, head)
        for t in frames:
            hidden[t] |= inside(corners[t], seen.mu[t])
    return hidden & seen.valid


def _ideal(drawn: F64, mask: Mask, lens: Lens) -> F64:
    """A polygon (n,2) as an ideal pinhole sees it; raises UserError ``bad_correction`` for a corner beyond the lens."""
    ideal = undistort(drawn, lens)
    if not ideal.valid.all():
        raise UserError(
            ErrorCode.BAD_CORRECTION,
            f"A corner of the mask that was drawn on frame {mask.drawn_at} is where the lens of “{mask.view}” shows "
            "nothing, so that the head cannot take it along.",
            "Draw it nearer to the middle of the picture, or let the mask stand still.",
        )
    return ideal.points


def carried(polygon: F64, drawn_at: int, view: int, track: Track, head: HeadModel) -> F64:
    """(T,n,2) a polygon (n,2) drawn at a frame (an index) as the head takes it along, in pixels.

    It lies on a plane through the middle of the face, parallel to the picture in which it was drawn.
    """
    camera = track.cameras[view]
    turn, shift = camera.world_to_camera[0, :, :3], camera.world_to_camera[0, :, 3]
    focal, centre = camera.focal_px[0], camera.principal_point
    rotation = Rotation.from_rotvec(np.array(track.head_rotation)).as_matrix()
    middle = neutral_of(head, track)[head.regions["face"]].mean(axis=0).astype(np.float64)
    depth = (turn @ (rotation[drawn_at] @ middle + track.head_translation[drawn_at]) + shift)[2]
    ray = np.concatenate([(polygon - centre) / focal, np.ones((len(polygon), 1))], axis=1)
    world = (depth * ray - shift) @ turn
    on_head = (world - track.head_translation[drawn_at]) @ rotation[drawn_at]
    moved = np.einsum("tab,nb->tna", rotation, on_head) + track.head_translation[:, None]
    placed = moved @ turn.T + shift
    return np.asarray(placed[..., :2] / placed[..., 2:] * focal + centre)


def inside(polygon: F64, points: NDArray[np.floating[Any]]) -> Bools:
    """(N,) which points (N,2) lie in a polygon (n,2), by the even-odd rule."""
    first, second = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, None, 0].astype(np.float64), points[:, None, 1].astype(np.float64)
    crosses = (first[:, 1] > y) != (second[:, 1] > y)
    rise = np.where(second[:, 1] == first[:, 1], 1.0, second[:, 1] - first[:, 1])
    at = first[:, 0] + (y - first[:, 1]) / rise * (second[:, 0] - first[:, 0])
    return np.asarray((crosses & (x < at)).sum(axis=1) % 2 == 1)
