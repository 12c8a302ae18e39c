"""The first aligner: MediaPipe's 478 points by its 256² landmark network and its iris network, on crops made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, alike, cut, mirrored
from backend.alignment.landmarks.blendshapes import BlendshapeNetwork
from backend.alignment.landmarks.face_mesh import (
    LEFT_OUTER_CANTHUS,
    POINTS,
    RIGHT_OUTER_CANTHUS,
    SIZE,
    FaceMeshNetwork,
    box_around,
    crop_of,
)
from backend.alignment.landmarks.irises import IrisNetwork
from backend.alignment.landmarks.lid_points import mediapipe_lids
from backend.alignment.landmarks.networks import cores
from backend.alignment.landmarks.point_sigma import PointSigma, load_point_sigma
from backend.alignment.landmarks.pose_bias import PoseBias, load_pose_bias
from backend.alignment.lids import LidPoints
from backend.observations import Alignment, FaceBox, PointSet, PointSetId

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

MIN_PRESENCE = 0.5  # as MediaPipe itself
MOST_LOOKS = 2  # a third moves the points of photographs by nothing that can be measured
SHIFT, STRETCH, TURN = 0.03, 1.05, float(np.deg2rad(5))
"""Most distance of two crops (share of the side, factor of the side, radians) that leaves the network the same view.

Within it points lie 0.1 % of the inter-ocular distance apart on the mean over people, and 0.35 % for each, as they do
between any two crops: looking again would tell another answer, not a better one.
"""


@dataclass(frozen=True, eq=False)
class Look:
    """One look at a crop: ``points (478,3)`` in crop coordinates, presence, and the crop that suits the answer.

    ``apart (478,2)`` is half the difference of the answers for the crop and its mirror image; None of a single one.
    """

    crop: Crop
    points: F64
    presence: float
    laid: Crop
    apart: F64 | None


class LandmarkAligner:
    """Implements ``Aligner``. Without memory: what it says of an image depends on the image and the box only.

    A box leads to a crop, and the answer is the mean of a look at it and one at its mirror image. The box of an
    alignment leads to the crop that suited it, so a face that is followed costs one such pair. Where the crop that
    suits the answer is another one, as it mostly is after a detector's box, a pair there answers.

    Without ``mirrored`` the first look is a single one, less what the network is known to draw to the image's left
    (``PointSigma.lean``): a quarter less time, a third more jitter in a clip, and a tenth more motion error (SSME) of
    rendered performances.

    What the points are known to be off by on turned heads is taken off (``PoseBias``).

    A box's ``roll`` matters beyond about 30°. Not safe to call from two threads at once; it spreads its crops over the
    cores itself.
    """

    name = "mediapipe"
    point_sets = (PointSetId("mediapipe478", "mediapipe"),)

    def __init__(
        self,
        sigma: PointSigma | None = None,
        min_presence: float = MIN_PRESENCE,
        pose_bias: PoseBias | None = None,
        mirrored: bool = True,
    ) -> None:
        lanes = min(cores(), 4)
        self._network, self._irises = FaceMeshNetwork(lanes), IrisNetwork(min(lanes, 2))
        self._sigma = sigma or load_point_sigma()
        self._blendshapes = BlendshapeNetwork(self._sigma.mirror, min(lanes, 2))
        self._pose_bias = pose_bias or load_pose_bias()
        self._min_presence, self._mirrored = min_presence, mirrored

    @property
    def lids(self) -> LidPoints:
        """See ``Aligner``."""
        return mediapipe_lids()

    def align(self, images: Sequence[Image], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Alignments of the face in each RGB image (H,W,3); None where the box is None or shows no face."""
        crops = {}
        for index, box in enumerate(boxes):
            if box is not None and max(box.width, box.height) > 0:
                crops[index] = crop_of(box)
        found: dict[int, Look] = {}
        for number in range(MOST_LOOKS):
            both = self._mirrored or number > 0
            looks = self._look([images[index] for index in crops], list(crops.values()), both=both)
            crops, seen = {}, dict(zip(crops, looks, strict=True))
            for index, look in seen.items():
                if look.presence < self._min_presence or not 4 <= look.laid.side <= 8 * max(images[index].shape):
                    continue
                last = number == MOST_LOOKS - 1
                if last or alike(look.crop, look.laid, shift=SHIFT, stretch=STRETCH, turn=TURN):
                    found[index] = look
                else:
                    crops[index] = look.laid
        told = dict(zip(found, self._told([images[index] for index in found], list(found.values())), strict=True))
        return [told.get(index) for index in range(len(images))]

    def _look(self, images: Sequence[Image], crops: Sequence[Crop], *, both: bool) -> list[Look]:
        """Run the network on one crop of each image, and on its mirror image, too, where ``both``."""
        straight = [cut(image, crop) for image, crop in zip(images, crops, strict=True)]
        points, presence = self._network([*straight, *(mirrored(picture) for picture in straight if both)])
        count = len(crops)
        if both:
            back = points[count:, self._sigma.mirror] * (-1, 1, 1) + (SIZE, 0, 0)
            apart = list((points[:count] - back)[..., :2] / 2)
            points, presence = (points[:count] + back) / 2, (presence[:count] + presence[count:]) / 2
        else:
            apart = [None] * count
            eyes = points[:, LEFT_OUTER_CANTHUS] - points[:, RIGHT_OUTER_CANTHUS]
            points[..., :2] -= np.linalg.norm(eyes, axis=1)[:, None, None] * self._sigma.lean
        laid = [crop_of(box_around(crop.points_to_image(one[:, :2]))) for crop, one in zip(crops, points, strict=True)]
        return [Look(*look) for look in zip(crops, points, presence.tolist(), laid, apart, strict=True)]

    def _told(self, images: Sequence[Image], looks: Sequence[Look]) -> list[Alignment]:
        """The alignments of the last looks, with the irises of closer ones."""
        if not looks:
            return []
        scale = [look.crop.side / SIZE for look in looks]
        placed = [
            np.column_stack([look.crop.points_to_image(look.points[:, :2]), look.points[:, 2] * unit])
            for look, unit in zip(looks, scale, strict=True)
        ]
        better = self._irises.improve(images, np.stack(placed))
        flat = better[..., :2]
        scores = self._blendshapes(list(flat))
        return [
            replace(self._alignment(look, mu), action_scores=told)
            for look, mu, told in zip(looks, flat, scores, strict=True)
        ]

    def _alignment(self, look: Look, mu: F64) -> Alignment:
        """Of a look at a crop, with image points ``mu (478,2)``."""
        crop, points = look.crop, look.points
        eyes = points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS]
        yaw = float(np.arctan2(eyes[2], np.hypot(eyes[0], eyes[1])))
        inter_ocular = float(np.linalg.norm(eyes))
        bias = inter_ocular * self._pose_bias.offsets(points) @ crop.to_image[:, :2].T
        apart = None if look.apart is None else look.apart / inter_ocular
        seen = PointSet(
            self.point_sets[0],
            mu=(mu - bias).astype(np.float32),
            sigma=self._sigma.pixels(yaw, inter_ocular * crop.side / SIZE, apart),
            valid=np.ones(POINTS, bool),
        )
        return Alignment((seen,), box_around(mu, look.presence))

    def close(self) -> None:
        """Stop the networks' threads."""
        self._network.close()
        self._irises.close()
        self._blendshapes.close()
