"""A person's driver: a picture in, expression, gaze and head pose out, by one look of one small network (seeds/003 §3).

The code comes from the regressor, and through the appearance model the expression. The pose is solved in closed form:
the regressor also tells where the person's points lie in the picture, and the head of that expression is laid over
them under a full perspective camera. The paper regresses six numbers under a weak one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.alignment.finder import face_finder
from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS, box_around, crop_of
from backend.alignment.landmarks.features import FeatureNetwork
from backend.appearance.model import Appearance
from backend.appearance.person import Person
from backend.appearance.pose import solve_pose
from backend.appearance.regressor import Regressor
from backend.cameras.distortion import Lens, undistort

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PRESENT = 0.5
"""Presence, in 0…1, from which a crop shows a face, as MediaPipe itself has it."""
LARGEST_TURN = np.pi / 4
"""Radians of gaze either way; no eye turns further."""


@dataclass(frozen=True, eq=False)
class DriverModel:
    """All that a driver has learnt. ``focal_ratio`` is the take's focal length over its picture's longer side, ``name``
    what it was learnt from, ``about`` where its figures stand, plain values."""

    person: Person
    appearance: Appearance
    regressor: Regressor
    focal_ratio: float
    name: str
    about: dict[str, object]


@dataclass(frozen=True, eq=False)
class Driven:
    """A picture's answer: ``expression (K_ex,)`` within the head's bounds, ``gaze (2,2)`` as a track's, the head in
    camera space by ``rotation (3,3)`` and ``translation (3,)``, metres; ``code (Z,)``; ``landmarks (478,2)`` where the
    network saw MediaPipe's points, pixels of the picture; ``iod`` the distance of the outer eye corners there."""

    expression: F32
    gaze: F32
    rotation: F64
    translation: F64
    code: F64
    landmarks: F64
    iod: float


class Driver:
    """Looks at one picture after the other: each shows where to look in the next. Not safe to call from two threads.

    Without memory otherwise: nothing is smoothed. After a picture without a face the next one is searched.
    """

    def __init__(self, model: DriverModel, *, focal_px: float | None = None, lens: Lens | None = None) -> None:
        """``focal_px`` is the camera's, None for one as the take's; ``lens`` is it with its distortion. Raises
        UserError where the person's head is not here any more or has changed."""
        self.model = model
        self._network = FeatureNetwork()
        self._points = model.person.points
        self._bounds = model.person.head.expression_bounds
        self._focal, self._lens = focal_px, lens
        self._crop: Crop | None = None

    def look(self, picture: NDArray[np.uint8]) -> Driven | None:
        """The person in a picture (H,W,3) RGB; None where it shows no face."""
        crop = self._crop or self._found(picture)
        self._crop = None
        if crop is None:
            return None
        seen = self._network([cut(picture, crop)])
        landmarks = crop.points_to_image(seen.points[0, :, :2])
        if seen.presence[0] < PRESENT:
            return None
        self._crop = crop_of(box_around(landmarks))
        code, points = self.model.regressor(seen.features, seen.points[:, self._points.number, :2])
        expression, gaze = self.decode(code[0])
        rotation, translation = self._posed(picture, expression, crop.points_to_image(points[0]))
        iod = float(np.linalg.norm(landmarks[LEFT_OUTER_CANTHUS] - landmarks[RIGHT_OUTER_CANTHUS]))
        return Driven(expression, gaze, rotation, translation, code[0], landmarks, iod)

    def decode(self, code: F64) -> tuple[F32, F32]:
        """Expression (K_ex,) and gaze (2,2) of a code (Z,), within bounds."""
        told = self.model.appearance.parameters(code[None])[0]
        expression = np.clip(told[:-4], self._bounds[:, 0], self._bounds[:, 1])
        gaze = np.clip(told[-4:], -LARGEST_TURN, LARGEST_TURN)
        return expression.astype(np.float32), gaze.reshape(2, 2).astype(np.float32)

    def lens_for(self, picture: NDArray[np.uint8]) -> Lens:
        """The camera that a picture is taken to be of."""
        if self._lens is not None:
            return self._lens
        height, width = picture.shape[:2]
        return Lens(self._focal or self.model.focal_ratio * max(width, height), (width / 2, height / 2))

    def forget(self) -> None:
        """The next picture is not the following one."""
        self._crop = None

    def close(self) -> None:
        """Stop the network's threads."""
        self._network.close()

    def _found(self, picture: NDArray[np.uint8]) -> Crop | None:
        """The crop around the largest face, once it was looked at."""
        faces = face_finder().find(picture)
        if not faces:
            return None
        first = crop_of(faces[0])
        seen = self._network([cut(picture, first)])
        return crop_of(box_around(first.points_to_image(seen.points[0, :, :2])))

    def _posed(self, picture: NDArray[np.uint8], expression: F32, pixels: F64) -> tuple[F64, F64]:
        lens = self.lens_for(picture)
        ideal = pixels if lens.ideal else undistort(pixels, lens).points
        return solve_pose(self._points.at(expression), ideal, lens.focal_px, np.array(lens.principal_point))
