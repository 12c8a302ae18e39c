"""What shape keys get from the weights of an actor's actions. Numbers only; bakes and drivers agree on it."""

from __future__ import annotations

from collections.abc import Mapping as Weights

import numpy as np
from numpy.typing import NDArray

from .mapping import KeyLink, Mapping, Response

F64 = NDArray[np.float64]


def responses(weights: F64, response: Response) -> F64:
    """The response (T,) to weights (T,) of one action; 0 where it is muted."""
    if response.mute:
        return np.zeros(len(weights))
    return np.minimum(np.maximum(response.gain * weights + response.offset, response.low), response.high)


def links_by_key(mapping: Mapping) -> dict[str, tuple[KeyLink, ...]]:
    """The links that are not muted by the key that they drive, in the order in which keys come first.

    A key all of whose links are muted is not driven at all: it keeps what it has.
    """
    found: dict[str, list[KeyLink]] = {}
    for link in mapping.keys:
        if not link.response.mute:
            found.setdefault(link.key, []).append(link)
    return {key: tuple(links) for key, links in found.items()}


def key_values(weights: Weights[str, F64], mapping: Mapping) -> dict[str, F64]:
    """The values (T,) of each driven shape key from the weights (T,) of the actor's actions.

    A key gets the sum over its links; an action without weights counts as 0, and a key none of whose actions has
    weights is left out. Nothing is held within the sliders of the character's keys: Blender does so when it plays them.
    """
    still = np.zeros(len(next(iter(weights.values()), ())))
    values = {}
    for key, links in links_by_key(mapping).items():
        if not any(mapping.action_of(link) in weights for link in links):
            continue
        parts = [responses(weights.get(mapping.action_of(link), still), link.response) for link in links]
        values[key] = np.sum(parts, axis=0)
    return values
