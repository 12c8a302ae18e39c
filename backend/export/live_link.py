"""A take as Live Link Face records one, for Unreal and all that reads the app's files (``protocol.live_link``)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from backend.export.arkit_weights import arkit_weights
from backend.head_model.model import HeadModel
from backend.track.types import Track
from protocol import live_link
from protocol.face_actions import ARKIT_ACTIONS

FACING = np.diag([1.0, -1.0, -1.0])
"""Rotation from head space to camera space of a head that looks straight into the camera."""


def live_link_csv(track: Track, head: HeadModel) -> bytes:
    """A CSV file, UTF-8: a row for each frame of the footage, also where no face was found and the fit bridged it.

    The timecode is the footage's time from midnight on; the head's angles are those that the first camera sees.
    """
    weights = arkit_weights(track, head)
    rotations = Rotation.from_rotvec(track.head_rotation.copy()).as_matrix()  # scipy wants to own what it reads
    turns = FACING @ track.cameras[0].world_to_camera[:, :, :3] @ rotations
    return live_link.to_csv(
        live_link.Recording(
            times=track.times,
            weights=dict(zip(ARKIT_ACTIONS, weights.T, strict=True)),
            head=live_link.head_angles(turns),
            eyes=live_link.eye_angles(track.gaze.astype(np.float64)),
        )
    )
