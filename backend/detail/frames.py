"""The pictures that tell most of wrinkles: sharp ones that together show the skin at rest, stretched and compressed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.detail.skin import edges_of
from backend.detail.tension import tension
from backend.head_model.model import HeadModel, posed_vertices
from backend.texture.choose_frames import candidates, sharpness
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track

PICTURES = 48
"""At most."""
PLACES = 400
"""Vertices of the face whose tension is looked at."""
TRAITS = 10
"""Directions in which the takes' tensions differ most."""
NOISE = 0.02
"""Of tension: what differs by less is alike."""
TURN = 0.5
"""Tensions that a radian's turn of the head, which changes the light on it, is worth."""
ALIKE_S = 0.1
"""Seconds within which pictures of a view tell the same."""


def choose_frames(
    track: Track, head: HeadModel, region: NDArray[np.bool_], most: int = PICTURES
) -> list[tuple[int, int]]:
    """(view, frame) of at most ``most`` pictures, ascending; ``region (V,)`` is the skin looked at.

    Greedy D-optimal design: each next picture is the one that most narrows what tensions and turns of the head could
    explain.
    """
    found = candidates(track)
    if not found:
        return []
    places = [(view, int(frame)) for view, frames in found for frame in frames]
    traits = np.concatenate([_traits(track, head, region, frames) for _, frames in found])
    traits -= traits.mean(axis=0)
    _, _, axes = np.linalg.svd(traits, full_matrices=False)
    traits = np.column_stack([traits @ axes[:TRAITS].T / NOISE, np.ones(len(traits))])
    worth = np.concatenate([sharpness(track, view)[frames] for view, frames in found])
    times = np.array([track.times[frame] for _, frame in places])
    views = np.array([view for view, _ in places])
    left = np.eye(traits.shape[1])
    chosen: list[int] = []
    while len(chosen) < min(most, len(places)):
        gain = worth * np.einsum("nk,kl,nl->n", traits, left, traits)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        known = left @ traits[best]
        left -= worth[best] * np.outer(known, known) / (1 + worth[best] * traits[best] @ known)
        apart = np.where(views == views[best], np.abs(times - times[best]), np.inf)
        worth = worth * np.maximum(1 - np.exp(-((apart / ALIKE_S) ** 2)), 1e-3)
    return sorted(places[index] for index in chosen)


def _traits(track: Track, head: HeadModel, region: NDArray[np.bool_], frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n,k) tensions of places of the skin, all together as large as their root mean square, and the head's turn."""
    some = np.flatnonzero(region)
    some = some[:: max(1, len(some) // PLACES)]
    neutral = neutral_of(head, track)
    person, edges = person_of(head, track), edges_of(head)
    pulled = np.concatenate(
        [
            tension(posed_vertices(person, neutral, track.expression[part], track.gaze[part]), neutral, edges)[:, some]
            for part in np.array_split(frames, max(1, len(frames) // 64))
        ]
    )
    turn = Rotation.from_rotvec(np.array(track.head_rotation[frames])).as_matrix()[:, :, 2]
    return np.column_stack([pulled / np.sqrt(len(some)), TURN * turn])
