"""The track that the solver makes of a film's points, which are seen with noise: what a real take's is like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.evaluation.uncertainty import counterparts
from backend.fitting.fit import fit_take
from backend.fitting.types import View
from backend.head_model.model import HeadModel, surface_positions
from backend.observations import PointSet, ViewAlignment
from backend.track.geometry import seen_vertices
from backend.track.types import Track

POINTS = "mediapipe478"


def fitted_track(track: Track, person: HeadModel, head: HeadModel, *, noise_px: float, seed: int = 9) -> Track:
    """What is solved for with ``head`` from its landmarks as seen on ``person`` who performs ``track``.

    A point's error of σ ``noise_px`` is half the same in all frames, half new in each (in variance).
    """
    points = head.landmarks[POINTS]
    found = counterparts(head, points, person)
    seen = seen_vertices(person, track, np.arange(len(track.frames)))
    mu = np.asarray(surface_positions(found.points, person.triangles, seen), np.float64)[..., :2]
    random = np.random.default_rng(seed)
    size = np.sqrt(0.5) * noise_px
    mu += size * random.normal(size=mu.shape[1:]) + size * random.normal(size=mu.shape)
    valid: NDArray[np.bool_] = np.broadcast_to(found.there, mu.shape[:2]).copy()
    sigma = np.full(valid.shape, max(noise_px, 0.3), np.float32)
    camera = track.cameras[0]
    told = ViewAlignment.of(
        PointSet.of(POINTS, mu.astype(np.float32), sigma, valid),
        image_size=camera.image_size,
        frame_rate=track.frame_rate,
    )
    fit = fit_take(head, (View(told),))
    of = fit.cameras[0]
    frames = len(track.frames)
    return replace(
        track,
        head_id=head.id,
        head_hash=head.hash,
        identity=fit.identity.astype(np.float32),
        deformation=np.zeros((0, 3), np.float32),
        expression=fit.expression.astype(np.float32),
        gaze=fit.gaze.astype(np.float32),
        head_rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        head_translation=fit.head_translation,
        cameras=(
            replace(
                camera,
                focal_px=np.full(frames, of.focal_px),
                principal_point=np.asarray(of.principal_point, np.float64),
                world_to_camera=np.tile(of.world_to_camera, (frames, 1, 1)),
            ),
        ),
    )
