"""A person's driver: a picture in, expression, gaze and head pose out, by one look of one small network (seeds/003 §3).

The code comes from the regressor, and through the appearance model the expression that is expected. The regressor also
tells where the person's points lie in the picture, and the head is laid over them under a full perspective camera, the
expression free to leave what was expected: by little where the look is like those learnt from, by much where it is not,
and the points are then the network's own (``trust``). The paper regresses six numbers of pose under a weak camera, and
has a hundred cameras' footage in which its actors do everything.

Error over the fit's on the takes' last fifths, first of the expected expression as it is: lp_d3 2.60, 1.12; lp_d10
1.08, 1.05; lp_s18 1.03, 1.02; pyfeat_single_face 1.08, 1.06. Gaze, off by 8.0, 1.48, 0.53, 0.49 degrees, by 3.2, 1.39,
0.48, 0.46.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import CROP, Crop, cut
from backend.alignment.finder import face_finder
from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS, box_around, crop_of
from backend.alignment.landmarks.features import FeatureNetwork, Seen
from backend.appearance.face_solve import LARGEST_TURN, Laid, lay_face, turn_eyes
from backend.appearance.model import Appearance
from backend.appearance.person import Person, iris_centres
from backend.appearance.regressor import Regressor
from backend.appearance.trust import Trust
from backend.cameras.distortion import Lens, undistort

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PRESENT = 0.5
"""Presence, in 0…1, from which a crop shows a face, as MediaPipe itself has it."""
SPREAD, GAZE_SPREAD = 0.02, 0.03
"""Of weights, and radians of gaze: deviations from what was expected of an ordinary look; a strange one's are as many
times larger. Of 0.01, 0.02, 0.03 and 0.1 (always) the error falls (lp_d10 1.07, 1.05, 1.04, 1.01 times the fit's), and
stability is lost (lp_s18 1.58, 1.65, 1.70, 1.75)."""
MOST_SPREAD, MOST_GAZE_SPREAD = 0.2, 1.0
"""However strange: of 0.1, 0.2 and 0.5 the best on lp_d3 (1.23, 1.21 and 1.21 times, irises left out)."""
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
LEAST_OPEN = 0.05
"""Of an open eye: lids cover what tells where it looks, by no more than all but this."""


@dataclass(frozen=True, eq=False)
class DriverModel:
    """All that a driver has learnt. ``focal_ratio`` is the take's focal length over its picture's longer side, ``name``
    what it was learnt from, ``about`` where its figures stand, plain values."""

    person: Person
    appearance: Appearance
    regressor: Regressor
    trust: Trust
    focal_ratio: float
    name: str
    about: dict[str, object]

    def expect(self, features: F32, own: F64) -> Expected:
        """What a look (F,) that sees the points at ``own (K,2)`` in its crop says by itself."""
        x = self.regressor.whitened(features[None])
        code, strange = self.regressor.code(x)[0], self.trust.strangeness(x)
        told = self.appearance.parameters(code[None])[0]
        bounds = self.person.head.expression_bounds
        return Expected(
            code=code,
            expression=np.clip(told[:-4], bounds[:, 0], bounds[:, 1]),
            gaze=np.clip(told[-4:], -LARGEST_TURN, LARGEST_TURN).reshape(2, 2),
            points=self.regressor.place(x, own[None], 1 / strange)[0],
            strangeness=float(strange[0]),
        )

    def lay(self, expected: Expected, pixels: F64, pixel: float, camera: Lens) -> Laid:
        """The face near what is expected whose points lie at ``pixels (K,2)`` of the picture, of which one of the
        crop's is ``pixel``."""
        spread = min(SPREAD * expected.strangeness, MOST_SPREAD)
        bounds, noise = self.person.head.expression_bounds.astype(np.float64), self.trust.noise * pixel
        return lay_face(self.person.points, bounds, camera, pixels, noise, expected.expression, spread)

    def turn(self, expected: Expected, laid: Laid, irises: F64, pixel: float, camera: Lens) -> F64:
        """Gaze (2,2) near what is expected of a face whose irises lie at ``irises (2,2)``, as ``lay``."""
        spread = min(GAZE_SPREAD * expected.strangeness, MOST_GAZE_SPREAD)
        names = self.person.head.expression_names
        shut = [float(laid.expression[names.index(name)]) if name in names else 0.0 for name in BLINKS]
        noise = self.trust.iris_noise * pixel / np.clip(1 - np.array(shut), LEAST_OPEN, 1)
        return turn_eyes(self.person.eyes, laid, camera, irises, noise, expected.gaze, spread)


@dataclass(frozen=True, eq=False)
class Expected:
    """Of a look by itself: ``code (Z,)``, ``expression (K_ex,)`` and ``gaze (2,2)`` within bounds, where the person's
    points lie, ``points (K,2)`` in pixels of the crop, and how many times as strange as an ordinary look it is."""

    code: F64
    expression: F64
    gaze: F64
    points: F64
    strangeness: float


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
        self._number = model.person.points.number
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
        expected, laid, gaze = self._told(picture, crop, seen)
        iod = float(np.linalg.norm(landmarks[LEFT_OUTER_CANTHUS] - landmarks[RIGHT_OUTER_CANTHUS]))
        expression = laid.expression.astype(np.float32)
        return Driven(expression, gaze, laid.rotation, laid.translation, expected.code, landmarks, iod)

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

    def _told(self, picture: NDArray[np.uint8], crop: Crop, seen: Seen) -> tuple[Expected, Laid, F32]:
        """What one look lets expect, and the face and gaze (2,2) that it comes to."""
        model, own = self.model, seen.points[0, :, :2]
        expected = model.expect(seen.features[0], own[self._number])
        lens, pixel = self.lens_for(picture), crop.side / CROP
        at = crop.points_to_image(np.concatenate([expected.points, iris_centres(own) + model.trust.iris]))
        at = at if lens.ideal else undistort(at, lens).points
        laid = model.lay(expected, at[:-2], pixel, lens)
        return expected, laid, model.turn(expected, laid, at[-2:], pixel, lens).astype(np.float32)
