"""What a user tells of a take, in the terms of the fit: indices for names and numbers, ideal pixels, hidden points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.cameras.distortion import lens_of, undistort
from backend.errors import ErrorCode, UserError
from backend.export.blender import own_triangles
from backend.fitting.corrections import Corrections, HeldValue, SurfacePin
from backend.fitting.corrections.types import Unknown
from backend.head_model.model import HeadModel
from backend.observations import ViewAlignment
from backend.pipeline.masks import masked_points
from backend.pipeline.take_frames import frame_index
from backend.track.types import Track
from protocol.corrections import HeldKey, Mask, Pin

CHANNELS = {
    "gaze:left": (Unknown.GAZE, 0),
    "gaze:right": (Unknown.GAZE, 1),
    "head_rotation": (Unknown.ROTATION, 0),
    "head_translation": (Unknown.TRANSLATION, 0),
}


def to_fit(
    pins: Sequence[Pin],
    masks: Sequence[Mask],
    keys: Sequence[HeldKey],
    track: Track,
    head: HeadModel,
    seen: Sequence[ViewAlignment],
    where: str,
) -> Corrections:
    """The corrections of a track; ``seen`` are its views' points as ideal pinholes see them, ``where`` names the take.

    Raises:
        UserError: ``unknown_view``, ``frames_out_of_range``, ``bad_correction`` for what the head does not have.
    """
    of_view = [[mask for mask in masks if _view(track, mask.view) == view] for view in range(len(seen))]
    return Corrections(
        pins=tuple(_pin(pin, track, head, where) for pin in pins),
        held=tuple(_held(key, track, head, where) for key in keys),
        ignored=tuple(
            masked_points(of_view[view], view, track, head, alignment, where) for view, alignment in enumerate(seen)
        )
        if masks
        else (),
    )


def _pin(pin: Pin, track: Track, head: HeadModel, where: str) -> SurfacePin:
    view = _view(track, pin.view)
    own = own_triangles(head)
    if pin.triangle >= len(own):
        raise UserError(
            ErrorCode.BAD_CORRECTION,
            f"The pin at frame {pin.frame} is on triangle {pin.triangle}, which is no part of the head itself.",
            "Put it on the skin or an eye: brows, lashes, teeth and gums are carried by those.",
        )
    ideal = undistort(np.array([pin.position], np.float64), lens_of(track.cameras[view]))
    if not ideal.valid[0]:
        raise UserError(
            ErrorCode.BAD_CORRECTION,
            f"The pin at frame {pin.frame} is where the lens of “{pin.view}” shows nothing.",
            "Put it nearer to the middle of the picture.",
        )
    return SurfacePin(
        view=view,
        frame=frame_index(track, pin.frame, where),
        triangle=int(own[pin.triangle]),
        barycentric=pin.barycentric,
        position=(float(ideal.points[0, 0]), float(ideal.points[0, 1])),
        sigma=pin.sigma_px * float(ideal.magnification[0]),
    )


def _held(key: HeldKey, track: Track, head: HeadModel, where: str) -> HeldValue:
    frame = frame_index(track, key.frame, where)
    if key.action is None:
        kind, place = CHANNELS[key.channel]
        return HeldValue(frame, kind, key.value, place)
    if key.action not in head.expression_names:
        raise UserError(
            ErrorCode.BAD_CORRECTION,
            f"The head “{head.id}” has no action “{key.action[:60]}” that a key could hold.",
            "Name one of its shape keys.",
        )
    place = head.expression_names.index(key.action)
    low, high = head.expression_bounds[place]
    return HeldValue(frame, Unknown.EXPRESSION, (float(np.clip(key.value[0], low, high)),), place)


def _view(track: Track, name: str) -> int:
    names = [camera.name for camera in track.cameras]
    if name not in names:
        raise UserError(
            ErrorCode.UNKNOWN_VIEW, f"The take has no view “{name[:60]}”.", f"Its views are: {', '.join(names)}."
        )
    return names.index(name)
