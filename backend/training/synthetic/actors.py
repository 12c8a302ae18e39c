"""The heads that are rendered, ready to be posed quickly, and where the open head's vertices lie on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.appearance import face_coordinates
from backend.head_model.model import JOINT_NAMES, HeadModel, actions_of, gaze_rotation
from protocol.face_actions import ARKIT_ACTIONS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int32]

EYE_JOINTS = ("left_eye", "right_eye")
_IN_MOUTH = ("mouth_bag", "teeth", "tongue", "gums")


@dataclass(frozen=True, eq=False)
class OpenVertices:
    """The open head's V0 vertices on an actor: barycentric ``weights (V0,3)`` of its vertices ``corners (V0,3)``.

    ``known (V0,)`` is False where the actor has nothing that corresponds; those rows still give a nearby place.
    """

    corners: Int
    weights: F32
    known: NDArray[np.bool_]

    @classmethod
    def of_itself(cls, head: HeadModel) -> OpenVertices:
        """The open head's own: each vertex is itself."""
        count = head.vertex_count
        weights = np.tile(np.array([1, 0, 0], np.float32), (count, 1))
        return cls(np.repeat(np.arange(count, dtype=np.int32)[:, None], 3, axis=1), weights, np.ones(count, bool))

    def on(self, vertices: NDArray[np.floating[Any]]) -> F64:
        """Their positions (V0,3) on the actor's vertices (V,3)."""
        return np.einsum("nk,nkc->nc", self.weights, np.asarray(vertices, np.float64)[self.corners])


@dataclass(frozen=True, eq=False)
class Actor:
    """A head as the renderer needs it. V vertices, R ≥ V of them to draw (split at the atlas's seams), F triangles.

    ``modes (K,3V)`` metres per standard deviation, those that training may use; ``actions (52,3V)`` metres at strength
    1 in the order of ``ARKIT_ACTIONS``; ``drawn (R,)`` which vertex each drawn one is, ``uv (R,2)`` its place in the
    canonical atlas, ``triangles (F,3)`` of drawn ones and those ``shut (F',3)`` that show while the
    lips are closed; ``wet (R,)`` 0…1 gloss; ``face`` indices of the face's skin. ``open_vertices`` says where the
    labels lie.
    """

    name: str
    template: F32
    modes: F32
    actions: F32
    joint_regressor: F32
    eyes: tuple[tuple[NDArray[np.intp], F32], ...]
    drawn: NDArray[np.intp]
    uv: F32
    triangles: Int
    shut: Int
    wet: F32
    face: NDArray[np.intp]
    open_vertices: OpenVertices
    _normals: sparse.csr_matrix
    _corners: NDArray[np.intp]

    def neutral(self, identity: NDArray[np.floating[Any]]) -> F32:
        """Neutral vertices (V,3), metres, for coefficients (K,)."""
        return self.template + (np.asarray(identity, np.float32) @ self.modes).reshape(-1, 3)

    def posed(self, neutral: F32, strengths: F32, gaze: F64) -> F32:
        """Vertices (V,3) in head space: actions (52,) added, each eye turned by ``gaze (2,2)`` (yaw, pitch) radians."""
        active = np.flatnonzero(strengths)
        offsets = (strengths[active].astype(np.float32) @ self.actions[active]).reshape(-1, 3)
        vertices = np.asarray(neutral + offsets, np.float32)
        centres = self.joint_regressor @ neutral
        for side, (index, weight) in enumerate(self.eyes):
            turn = gaze_rotation(gaze[side]).astype(np.float32)
            away = vertices[index] - centres[side]
            vertices[index] += weight[:, None] * (away @ turn.T - away)
        return vertices

    def normals(self, vertices: F32) -> F32:
        """Unit normals (V,3), area-weighted, of vertices (V,3)."""
        a, b, c = vertices[self._corners[:, 0]], vertices[self._corners[:, 1]], vertices[self._corners[:, 2]]
        summed = self._normals @ _cross(b - a, c - a)
        return np.asarray(summed / np.maximum(np.sqrt((summed**2).sum(axis=1, keepdims=True)), 1e-20), np.float32)


def make_actor(name: str, head: HeadModel, open_vertices: OpenVertices, modes: NDArray[np.integer[Any]]) -> Actor:
    """An actor of a head in the canonical atlas that has all 52 actions; ``modes`` are the identity modes it may use.

    Raises ValueError where an action is missing.
    """
    names, basis = actions_of(head)
    if set(names) != set(ARKIT_ACTIONS):
        raise ValueError(f"the head {head.id} lacks actions")
    order = [names.index(action) for action in ARKIT_ACTIONS]
    pairs = np.stack([head.triangles.ravel(), head.uv_triangles.ravel()], axis=1)
    split, place = np.unique(pairs, axis=0, return_inverse=True)
    drawn = head.template[head.triangles, 1].min(axis=1) > _neck_end(head, open_vertices)
    inner = np.any([head.regions[part] for part in _IN_MOUTH if part in head.regions], axis=0)
    closed = drawn & ~inner[head.triangles].all(axis=1)
    joints = [JOINT_NAMES.index(joint) for joint in EYE_JOINTS]
    count = len(head.triangles)
    columns = np.repeat(np.arange(count), 3)
    normals = sparse.coo_matrix(
        (np.ones(3 * count, np.float32), (head.triangles.ravel(), columns)), (head.vertex_count, count)
    ).tocsr()
    return Actor(
        name=name,
        template=head.template.astype(np.float32),
        modes=np.ascontiguousarray(head.shape_basis[modes].reshape(len(modes), -1), np.float32),
        actions=np.ascontiguousarray(basis[order].reshape(len(order), -1), np.float32),
        joint_regressor=head.joint_regressor[joints],
        eyes=tuple(_eye(head, joint) for joint in joints),
        drawn=split[:, 0].astype(np.intp),
        uv=head.uv_vertices[split[:, 1]].astype(np.float32),
        triangles=place.reshape(-1, 3)[drawn].astype(np.int32),
        shut=place.reshape(-1, 3)[closed].astype(np.int32),
        wet=_wet(head)[split[:, 0]],
        face=np.flatnonzero(head.regions["face"] & head.regions["skin"]),
        open_vertices=open_vertices,
        _normals=normals,
        _corners=head.triangles.astype(np.intp),
    )


def _neck_end(head: HeadModel, open_vertices: OpenVertices) -> float:
    """Height (m) on the template below which the other head has shoulders where the open head has ended."""
    if open_vertices.known.all():
        return -np.inf
    skin = open_vertices.on(head.template)[open_vertices.known]
    return float(skin[:, 1].min()) + 0.012  # there the neck widens already


def _eye(head: HeadModel, joint: int) -> tuple[NDArray[np.intp], F32]:
    index = np.flatnonzero(head.skinning_weights[:, joint] > 1e-4)
    return index, head.skinning_weights[index, joint].astype(np.float32)


def _wet(head: HeadModel) -> F32:
    """Gloss (V,): eyes most, then teeth and tongue, lips, and skin, where the forehead's middle and nose shine most."""
    face = face_coordinates(head, head.template)
    oily = np.exp(-((face[:, 0] / 20) ** 2)) * (face[:, 2] > 0)
    wet = 0.06 + 0.08 * oily
    for name, amount in (("lips", 0.25), ("teeth", 0.5), ("tongue", 0.4), ("mouth_bag", 0.2)):
        wet[head.regions[name]] = amount
    for name in ("left_eyeball", "right_eyeball"):
        wet[head.regions[name]] = 1.0
    return wet.astype(np.float32)


def _cross(one: F32, other: F32) -> F32:
    # np.cross takes three times as long on as many vectors.
    out = np.empty_like(one)
    for n, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        out[:, n] = one[:, i] * other[:, j] - one[:, j] * other[:, i]
    return out
