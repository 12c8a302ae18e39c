"""Whom a session drives: what does not change from picture to picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.model import FloatArray, HeadModel
from backend.head_model.personal import no_corrections, with_corrections
from backend.track.types import Track


@dataclass(frozen=True, eq=False)
class Person:
    """A head's identity ``(K_id,)``, δ_d ``(V,3)`` metres or (0,3), the person's actions, and the camera before them.

    ``focal_px`` and ``principal_point`` are of pictures of ``image_size`` (width, height).
    """

    head: HeadModel
    identity: FloatArray
    focal_px: float
    principal_point: tuple[float, float]
    image_size: tuple[int, int]
    deformation: FloatArray
    action_corrections: FloatArray

    @classmethod
    def of_track(cls, head: HeadModel, track: Track, image_size: tuple[int, int]) -> Person:
        """The person of an earlier take, before a camera whose pictures are of ``image_size``.

        The focal length goes with the picture's longer side. Raises UserError ``head_changed`` where the take is of
        another head.
        """
        if track.head_hash != head.hash:
            sentence = f"The take is of another head (“{track.head_id}”) than the one to be driven (“{head.id}”)."
            raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Name that take's head with --head, or calibrate anew.")
        camera = track.cameras[0]
        ratio = max(image_size) / max(camera.image_size)
        same = image_size == camera.image_size
        centre = (float(camera.principal_point[0]), float(camera.principal_point[1]))
        return cls(
            head=head,
            identity=track.identity,
            focal_px=float(camera.focal_px[0]) * ratio,
            principal_point=centre if same else (image_size[0] / 2, image_size[1] / 2),
            image_size=image_size,
            deformation=track.deformation,
            action_corrections=track.action_corrections.astype(np.float32)
            if track.action_corrections.size
            else no_corrections(),
        )

    @property
    def neutral(self) -> NDArray[np.float32]:
        """(V,3) metres, head space."""
        neutral = self.head.neutral(self.identity)
        return neutral + self.deformation if len(self.deformation) else neutral

    def own_head(self) -> HeadModel:
        """The head with this person's neutral as its template, no identity to solve for, and their actions."""
        person = with_corrections(self.head, self.action_corrections)
        return replace(person, template=self.neutral, shape_basis=np.zeros((0, *self.neutral.shape), np.float32))
