"""What is known of a pool's rendered pictures: the open head's coefficients, told anew from their seeds.

A pool keeps where points lie in its pictures, not what the heads were; but a picture is a function of the pool's seed
and its number, and who is seen doing what is drawn first (``draw_shot``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from backend.alignment.flowface.crop import CropLayout
from backend.errors import ErrorCode, UserError
from backend.head_model.model import HeadModel
from backend.head_model.rigid import nearest_rotation
from backend.training.samples import Sample
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.source import Placed, Shot, draw_shot, place
from backend.training.synthetic.views import Camera
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

IDENTITY_SIGMA = 1e-4  # m by which people may miss an identity before its components are pulled to 0
ACTION_SIGMA = 1e-4  # m, the same of expressions and their strengths
ROUNDS = 4  # of shape and pose in turn; a fifth moved no vertex by 0.2 mm in 24 pictures
AGREES = 0.1  # pixels; a shard keeps a 64th


@dataclass(frozen=True, eq=False)
class Known:
    """A rendered head as the open one comes closest to it on the face's skin.

    With 40 components it misses the skin of rendered open heads by 0.7 mm, of ICT's by 0.8, of MakeHuman's by
    1.2 (24 pictures).

    ``identity (K,)``, ``expression (K_ex,)``, ``gaze (2,2)``; ``rotation (3,3)`` and ``translation (3,)`` from head
    space to the space of ``camera``; ``vertices (V,3)`` the open head's true ones in camera space, ``sure (V,)`` where
    the rendered head has them.
    """

    identity: F64
    expression: F64
    gaze: F64
    rotation: F64
    translation: F64
    vertices: F64
    sure: NDArray[np.bool_]
    camera: Camera


class Teller:
    """Tells what is known of the pictures of a pool with ``seed`` and crops of ``nominal`` pixels."""

    def __init__(self, head: HeadModel, actors: tuple[Actor, ...], seed: int, nominal: int, identity: int) -> None:
        self._head, self._actors, self._seed, self._nominal = head, actors, seed, nominal
        self._layout = CropLayout.of(head)
        self._face = np.flatnonzero(head.regions["face"] & head.regions["skin"])
        self._template = head.template[self._face].astype(np.float64)
        self._shapes = head.shape_basis[:identity, self._face].reshape(identity, -1).astype(np.float64)
        count = len(head.expression_basis)
        self._actions = head.expression_basis[:, self._face].reshape(count, -1).astype(np.float64)

    def __call__(self, index: int, sample: Sample, where: Path) -> Known:
        """Of the pool's picture ``index``, which is ``sample``.

        Raises UserError ``bad_shard`` naming ``where`` it lies if another version or another head made it.
        """
        shot = draw_shot(self._actors, np.random.default_rng([self._seed, index]))
        actor = self._actors[shot.actor]
        placed = place(self._head, self._layout, actor, shot, self._nominal)
        apart = np.abs(placed.camera.project(placed.points) - sample.mu)[self._face]
        near = np.all((sample.mu > -100) & (sample.mu < 500), axis=1)[self._face]  # farther ones are cut off
        if apart[near].max(initial=0.0) > AGREES:
            raise UserError(
                ErrorCode.BAD_SHARD,
                f"Picture {index} in {where} is not the one that this version of FlowFace draws under its number.",
                "Render the pool anew with “flowface train-render”.",
            )
        return self._known(shot, actor, placed)

    def _known(self, shot: Shot, actor: Actor, placed: Placed) -> Known:
        sure = actor.open_vertices.known
        known = sure[self._face]
        own = actor.open_vertices.on(placed.neutral)[self._face]
        weight = np.repeat(known, 3).astype(np.float64)
        identity, turn, shift = self._shape(own, known, weight)
        if shot.actor == 0:  # its actions are the open head's own
            told = shot.performance.strengths.astype(np.float64)
            expression = told[[ARKIT_ACTIONS.index(name) for name in self._head.expression_names]]
        else:
            offsets = (placed.on_open[self._face] - own) @ turn.T
            expression = strengths(self._actions, offsets.ravel(), weight)
        rotation = shot.pose.rotation @ turn.T
        return Known(
            identity=identity,
            expression=expression,
            gaze=np.asarray(shot.performance.gaze, np.float64),
            rotation=rotation,
            translation=shot.pose.place - rotation @ shift - shot.pose.rotation @ placed.middle,
            vertices=placed.points[: self._head.vertex_count],
            sure=sure,
            camera=placed.camera,
        )

    def _shape(self, own: F64, known: NDArray[np.bool_], weight: F64) -> tuple[F64, F64, F64]:
        """Identity (K,), and the rotation and shift that take the neutral (n,3) to the open head's space."""
        shapes = self._shapes * weight
        gram = shapes @ shapes.T + IDENTITY_SIGMA**2 * np.eye(len(shapes)) * known.sum()
        identity = np.zeros(len(shapes))
        for _ in range(ROUNDS):
            now = self._template + (identity @ self._shapes).reshape(-1, 3)
            turn, shift = rigid(own[known], now[known])
            offsets = own @ turn.T + shift - self._template
            identity = np.linalg.solve(gram, shapes @ offsets.ravel())
        return identity, turn, shift


def rigid(points: F64, target: F64) -> tuple[F64, F64]:
    """The rotation (3,3) and shift (3,) that take points (n,3) closest to ``target`` (n,3): x ↦ R x + t."""
    middle, wanted = points.mean(0), target.mean(0)
    turn = nearest_rotation((target - wanted).T @ (points - middle))
    return turn, wanted - turn @ middle


def strengths(actions: F64, offsets: F64, weight: F64) -> F64:
    """Strengths (K,) in 0…1 by which ``actions (K,3n)`` come closest to ``offsets (3n,)`` where ``weight (3n,)`` is 1.

    Non-negative least squares with a little pull to 0, cut off at 1.
    """
    own = actions * weight
    pull = ACTION_SIGMA**2 * weight.sum() / 3
    root = np.linalg.cholesky(own @ own.T + pull * np.eye(len(own)))
    found, _ = nnls(root.T, np.linalg.solve(root, own @ offsets))
    return np.asarray(np.minimum(found, 1.0), np.float64)
