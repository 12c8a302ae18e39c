"""The calmest frames of a take: those in which a face at rest explains what was seen.

A frame is at rest as far as an identity alone, without any expression, explains its points: the lower the energy of
that explanation, misfit and improbable shape together, the calmer. It asks for no neutral to compare with, so a smile
held throughout a take stays what it is, and a neutral seen in few frames only is found. Raised brows or hollowed cheeks
alone pass for somebody's shape now and then; but what an actor does on purpose is seldom seen as often as their rest,
so of the calm frames those count that are alike and many.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.fitting.neutral.seen import POINTS, FacesSeen, faces_seen, frontal
from backend.fitting.types import FitOptions, FitResult, View
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]
Frames = NDArray[np.int64]

CALM = 100.0
"""The energy up to which a frame is calm. Of single training photographs 90 % of the neutral ones lie below 92 and 95 %
below 108, 90 % of the smiling ones above 72 and three quarters above 114. Training clips come down to 31 to 64 at rest;
496 and more are those of a man who smiles throughout, 112 and more of a woman whose lips are never at rest."""
ALIKE = 0.35
"""σ of a point, RMS over the face without its pose, up to which frames show the same face. Neighbouring calm frames
differ by 0.1; frames of one pause in speech by 0.1 to 0.3, those of another expression by 0.6 and more."""
LEAST = 3  # frames; fewer are a passing moment
MOST_LOOKED_AT, MOST_COMPARED = 1500, 300  # frames, evenly spread over those there are
RIGID = 6  # unknowns that turn, shift and grow any head across the line of sight


def calm_frames(head: HeadModel, views: Sequence[View], fit: FitResult, options: FitOptions) -> Frames:
    """Ascending indices of the frames of a fitted take in which the face is at rest; none where it never is.

    Told by the view that shows the face from the front most often; blinks are left out.
    """
    seen = [np.flatnonzero(frontal(view, fit, number)) for number, view in enumerate(views)]
    number = max(range(len(views)), key=lambda j: len(seen[j]))
    frames = _evenly(seen[number], MOST_LOOKED_AT)
    if len(frames) < LEAST:
        return np.empty(0, np.int64)
    faces = faces_seen(head, views[number], fit, number, frames, options.identity_components)
    if faces.home.shape[0] <= RIGID:
        return np.empty(0, np.int64)
    energy, posed = rest_energies(faces, options.weights.identity)
    calm = _evenly(np.flatnonzero(energy < CALM), MOST_COMPARED)
    return frames[calm[typical(posed[calm], energy[calm])]]


def rest_energies(faces: FacesSeen, identity_weight: float) -> tuple[F64, F64]:
    """What it costs to explain each frame by shape and pose alone (n,), and offsets without pose (n,2N) in σ.

    ``identity_weight`` is that on |β|². Energies are reckoned for ``POINTS`` points, however many there are.
    """
    weight = np.repeat(np.sqrt(POINTS / len(faces.sigma)) / faces.sigma, 2)
    offsets = faces.offsets.reshape(len(faces.offsets), -1) * weight
    rigid, _ = np.linalg.qr(_rigid(faces.home) * weight[:, None])
    posed = offsets - (offsets @ rigid) @ rigid.T
    shapes = faces.shapes[..., :2].reshape(len(faces.shapes), -1) * weight
    shapes = shapes - (shapes @ rigid) @ rigid.T
    hessian = shapes @ shapes.T + identity_weight * np.eye(len(shapes))
    # At the minimum over β of ½|o − Sᵀβ|² + ½w|β|² the energy is ½(|o|² − oᵀSᵀ H⁻¹ S o).
    pulled = posed @ shapes.T
    energy = 0.5 * (np.square(posed).sum(1) - (pulled * np.linalg.solve(hessian, pulled.T).T).sum(1))
    return energy, posed


def typical(faces: F64, energy: F64) -> Frames:
    """Which of ``faces (n,2N)`` (in σ) show the calmest face that many of them show; none where too few do.

    ``energy (n,)`` is how calm each is. Many show a face where at least half as many are like it as are like the one
    that most are like.
    """
    if len(faces) < LEAST:
        return np.empty(0, np.int64)
    squares = np.square(faces).sum(1)
    apart = np.maximum(squares[:, None] + squares - 2 * faces @ faces.T, 0.0) / (2 * POINTS)
    alike = apart < ALIKE**2
    count = alike.sum(1)
    many = np.flatnonzero(2 * count >= count.max())
    near = np.flatnonzero(alike[many[energy[many].argmin()]])
    return near if len(near) >= LEAST else np.empty(0, np.int64)


def _rigid(home: F64) -> F64:
    """(2N,6) how points (N,3) move across the line of sight when the head turns, shifts and grows."""
    from_middle = home - home.mean(axis=0)
    turned = [np.cross(axis, from_middle)[:, :2] for axis in np.eye(3)]
    shifted = [np.broadcast_to(axis, (len(home), 2)) for axis in np.eye(2)]
    columns = np.stack([c.ravel() for c in (*turned, *shifted, from_middle[:, :2])], axis=1)
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _evenly(frames: Frames, most: int) -> Frames:
    if len(frames) <= most:
        return frames
    return frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]
