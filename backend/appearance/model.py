"""A person's appearance as a linear model: expression, gaze and unwrapped skin from one code (seeds/003 §3.1).

Where the paper has a deep model of a hundred cameras' footage, one person's footage has enough for a linear one: the
principal components of geometry and texture together, balanced so that both vary as much. Geometry is measured in
metres of skin: coefficients are turned so that their distance is that of the face's vertices, rigid motion left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.appearance.pca import Components, find_components
from backend.appearance.person import Person
from backend.head_model.model import HeadModel
from backend.texture.skin_atlas import skin_atlas

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SIDE = 96
"""Texels along the atlas: 4 mm each on the face, of which 2,950 to 3,205 are modelled on four dev clips. The paper has
1024; some hundred frames cannot tell as many apart."""
COMPONENTS = 40
"""They leave 0.08 mm RMS of lp_d10's face, which moves by 2.2 mm."""
LEAST_SEEN = 0.05
"""Mean weight over the frames below which a texel is not modelled."""
GAZE_M = 0.0027
"""Metres that a radian of gaze counts as: 12 mm of eyeball, whose visible part is a twentieth of the face."""
RIDGE = 1e-4
"""Of the mean action's square metres, so that actions that cancel each other out stay apart."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Frames (n,) of a take and what of the skin they show: ``color (n,S,S,3)`` 0…1 and ``weight (n,S,S)`` 0…1."""

    frames: NDArray[np.intp]
    color: F32
    weight: F32


@dataclass(frozen=True, eq=False)
class Appearance:
    """z (Z,) of unit variance to expression (K_ex,), gaze (2,2) and the colours (N,3) of texels, sRGB in 0…1.

    ``components`` are of vectors [geometry (K_ex + 4), texture (3N)] in balanced units; ``rows`` and ``columns (N,)``
    are the texels' in an atlas of ``side``.
    """

    components: Components
    to_balanced: F64  # (P,P): balanced = (parameters) @ this, P = K_ex + 4
    texture_unit: float
    side: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def expressions(self) -> int:
        return len(self.to_balanced) - 4

    @cached_property
    def from_balanced(self) -> F64:
        return np.linalg.inv(self.to_balanced)

    @cached_property
    def geometry_map(self) -> tuple[F64, F64]:
        """(Z,P) and (P,): parameters = z @ the first + the second."""
        p = len(self.to_balanced)
        scaled = self.components.deviation[:, None] * self.components.basis[:, :p]
        return scaled @ self.from_balanced, self.components.mean[:p] @ self.from_balanced

    @cached_property
    def texture_map(self) -> tuple[F64, F64]:
        """(Z,3N) and (3N,): the same of the texels' colours."""
        p = len(self.to_balanced)
        scaled = self.components.deviation[:, None] * self.components.basis[:, p:]
        return scaled / self.texture_unit, self.components.mean[p:] / self.texture_unit

    def parameters(self, codes: F64) -> F64:
        """Expression and gaze (T,K_ex+4) of codes (T,Z), unbounded."""
        matrix, offset = self.geometry_map
        return np.asarray(codes @ matrix + offset)

    def texture(self, codes: F64) -> F64:
        """Colours (T,N,3) of codes (T,Z)."""
        matrix, offset = self.texture_map
        return np.asarray(codes @ matrix + offset).reshape(len(codes), -1, 3)

    def encode(self, parameters: F64, color: F64, weight: F64) -> F64:
        """Codes (T,Z) of frames' parameters (T,P), and texels' colours (T,N,3) that count by ``weight (T,N)``."""
        texture = self.texture_unit * color.reshape(len(color), -1)
        data = np.concatenate([parameters @ self.to_balanced, texture], axis=1)
        worth = np.concatenate([np.ones_like(parameters), np.repeat(weight, 3, axis=1)], axis=1)
        return self.components.encode(data, worth)


def parameters_of(expression: NDArray[np.floating[Any]], gaze: NDArray[np.floating[Any]]) -> F64:
    """(T,K_ex+4) of expression (T,K_ex) and gaze (T,2,2)."""
    return np.concatenate([expression, np.reshape(gaze, (len(gaze), 4))], axis=1).astype(np.float64)


def face_metric(head: HeadModel) -> F64:
    """(P,P): qᵀ M q is the mean square in metres by which parameters q move the face's vertices."""
    region = head.regions.get("face", np.ones(head.vertex_count, bool))
    moves = head.expression_basis[:, region].reshape(len(head.expression_basis), -1).astype(np.float64)
    metric = np.zeros((len(moves) + 4, len(moves) + 4))
    metric[:-4, :-4] = moves @ moves.T / max(int(region.sum()), 1)
    metric[:-4, :-4] += RIDGE * np.trace(metric) / len(moves) * np.eye(len(moves))
    metric[-4:, -4:] = GAZE_M**2 * np.eye(4)
    return metric


def learn_appearance(
    person: Person, parameters: F64, observed: Observed, most: int = COMPONENTS
) -> tuple[Appearance, F64]:
    """The appearance of a person from frames' ``parameters (T,P)``, of which ``observed`` shows the skin of some.

    Also the codes (T,Z) of all frames; those whose skin was not looked at are told by their geometry.

    Raises ValueError where nothing was observed.
    """
    outer = skin_atlas(person.model, observed.color.shape[1]).outer
    texels = outer & (observed.weight.mean(axis=0) > LEAST_SEEN)
    rows, columns = np.nonzero(texels)
    color = observed.color[:, rows, columns].astype(np.float64)
    weight = observed.weight[:, rows, columns].astype(np.float64)
    balanced = parameters @ np.linalg.cholesky(face_metric(person.head))
    spread = np.sqrt(max(float(balanced.var(axis=0).sum()), 1e-12))
    to_balanced = np.linalg.cholesky(face_metric(person.head)) / spread
    unit = _texture_unit(color, weight)
    texture = unit * color.reshape(len(color), -1)
    data = np.concatenate([parameters[observed.frames] @ to_balanced, texture], axis=1)
    worth = np.concatenate([np.ones((len(data), parameters.shape[1])), np.repeat(weight, 3, axis=1)], axis=1)
    components = find_components(data, worth, most)
    appearance = Appearance(components, to_balanced, unit, observed.color.shape[1], rows, columns)
    return appearance, _all_codes(appearance, parameters, observed.frames, color, weight)


def _texture_unit(color: F64, weight: F64) -> float:
    """By what colours are multiplied, so that all texels' variance over the frames sums to 1."""
    total = np.maximum(weight.sum(axis=0), 1e-9)[:, None]
    mean = (weight[..., None] * color).sum(axis=0) / total
    variance = (weight[..., None] * (color - mean) ** 2).sum(axis=0) / total
    return float(1 / np.sqrt(max(float(variance.sum()), 1e-9)))


def _all_codes(appearance: Appearance, parameters: F64, frames: Iterable[int], color: F64, weight: F64) -> F64:
    shown = {int(frame): index for index, frame in enumerate(frames)}
    blank = np.zeros_like(color[:1]), np.zeros_like(weight[:1])
    rows = []
    for frame, one in enumerate(parameters):
        index = shown.get(frame)
        seen = blank if index is None else (color[index : index + 1], weight[index : index + 1])
        rows.append(appearance.encode(one[None], *seen)[0])
    return np.array(rows)
