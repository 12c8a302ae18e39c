"""The FlowFace aligner: the alignment network on crops that follow the face, asked for any head's own points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.alignment.flowface.crop import CropLayout
from backend.alignment.flowface.framing import alike, box_of, crop_of
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.plausible import Bounds, FaceShape, plausible
from backend.alignment.flowface.runtime import Runtime, TorchRuntime
from backend.alignment.lids import LidPoints
from backend.head_model.dense_points import DENSE, EYE_POINTS, LID_POINTS, atlas_nu, has_eye_points
from backend.head_model.library import load_head
from backend.head_model.model import JOINT_NAMES, HeadModel, surface_positions
from backend.memory import at_once
from backend.observations import Alignment, FaceBox, PointSet, PointSetId

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FlowFaceOptions:
    """``mirrored``: look at every crop's mirror image, too, and average: half the systematic error, twice the time.

    ``sigma_scale`` multiplies the network's σ. ``batch`` is how many crops go through the network at once.
    """

    mirrored: bool = False
    sigma_scale: float = 1.0
    batch: int = 8
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, eq=False)
class _Look:
    """The result of one look at a crop, in image pixels: the head's points and the open head's face, each with σ."""

    crop: Crop
    mu: F64  # (N,2)
    sigma: F64  # (N,)
    face: F64  # (F,2)
    spread: float  # median σ of the face over the crop's side


class FlowFaceAligner:
    """Implements ``Aligner``. Without memory: what it says of an image depends on the image and the box only.

    A box leads to a crop (``crop_of``). Where the crop that suits the answer is another one, as it mostly is after a
    detector's box, the network looks again there. The box of an alignment leads to the crop that suited it, so a
    face that is followed costs one look a frame. None where the answer is no face (``Bounds``).

    Points are those of ``head.landmarks["dense"]``; points that the head itself hides are told with the σ that the
    network gives them. Not safe to call from two threads at once.
    """

    name = "flowface"
    point_sets = (PointSetId(DENSE, "flowface"),)

    def __init__(
        self,
        network: FlowFaceNetwork,
        head: HeadModel,
        options: FlowFaceOptions | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """``network`` is in evaluation mode, on the device to use; ``head`` is of ``load_head``.

        The aligner speaks of the head's point set. ``runtime`` runs the network; torch does where it is None.
        """
        open_head = load_head()
        points = head.landmarks[DENSE]
        self._network, self._runtime = network, runtime or TorchRuntime(network)
        self._device = next(network.parameters()).device
        self._options = options or FlowFaceOptions()
        self._size = network.config.image_size
        self._layout = CropLayout.of(open_head)
        self._shape = FaceShape.of(open_head.template[self._layout.face])
        self._open_count = open_head.vertex_count
        self._count = len(points)
        face = open_head.uv[self._layout.face]
        nu = np.concatenate([atlas_nu(head, points), np.column_stack([face[:, 0], 1 - face[:, 1]])])
        both = np.stack([nu, mirrored_nu(nu, open_head)])
        self._nu = torch.as_tensor(both.astype(np.float32), device=self._device)
        self.lids = _lids_of(head, self.point_sets[0]) if has_eye_points(head) else None

    def align(self, images: Sequence[Image], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Alignments of the face in each RGB image (H,W,3); None where the box is None or shows no face."""
        wanted = [i for i, box in enumerate(boxes) if box is not None and max(box.width, box.height) > 0]
        crops = {i: crop_of(box, self._size) for i in wanted if (box := boxes[i]) is not None}
        found: list[Alignment | None] = [None] * len(images)
        for again in (True, False):
            looks = dict(zip(crops, self._look([images[i] for i in crops], list(crops.values())), strict=True))
            crops = {}
            for i, look in looks.items():
                laid = self._laid(look, images[i])
                if laid is None:
                    continue
                if again and not alike(look.crop, laid):
                    crops[i] = laid
                else:
                    found[i] = self._alignment(look, laid)
        return found

    def _laid(self, look: _Look, image: Image) -> Crop | None:
        """The crop that suits what a look told; None where that is no face."""
        if not np.isfinite(look.face).all():
            return None
        whole = np.zeros((self._open_count, 2))
        whole[self._layout.face] = look.face
        laid = self._layout.crop(whole, self._size)
        if not 4 <= laid.side <= 8 * max(image.shape):
            return None
        fits = plausible(self._options.bounds, self._shape, look.face, look.spread, look.crop, laid)
        return laid if fits else None

    def _look(self, images: Sequence[Image], crops: Sequence[Crop]) -> list[_Look]:
        """Run the network on one crop of each image."""
        looks = []
        batch = at_once(self._options.batch)
        for start in range(0, len(crops), batch):
            part = slice(start, start + batch)
            looks += self._look_at_batch(images[part], crops[part])
        return looks

    def _look_at_batch(self, images: Sequence[Image], crops: Sequence[Crop]) -> list[_Look]:
        pictures = np.stack([cut(image, crop) for image, crop in zip(images, crops, strict=True)])
        mu, sigma = self._ask(pictures, self._nu[0])
        seen = [crop.points_to_image(points) for crop, points in zip(crops, mu, strict=True)]
        if self._options.mirrored:
            mirror_mu, mirror_sigma = self._ask(np.ascontiguousarray(pictures[:, :, ::-1]), self._nu[1])
            other = [replace(crop, mirrored=True) for crop in crops]
            seen = [(a + crop.points_to_image(b)) / 2 for a, crop, b in zip(seen, other, mirror_mu, strict=True)]
            sigma = (sigma + mirror_sigma) / 2
        looks = []
        for crop, points, deviation in zip(crops, seen, sigma, strict=True):
            spread = float(np.median(deviation[self._count :])) / self._size
            pixels = deviation[: self._count] * (self._options.sigma_scale * crop.side / self._size)
            looks.append(_Look(crop, points[: self._count], pixels, points[self._count :], spread))
        return looks

    def _ask(self, pictures: Image, nu: torch.Tensor) -> tuple[F64, F64]:
        """μ (B,P,2) and σ (B,P) in crop pixels for pictures (B,D,D,3)."""
        with torch.inference_mode():
            answer = self._network.prediction(*self._runtime(pictures), nu)
            return answer.mu.double().cpu().numpy(), answer.sigma.double().cpu().numpy()

    def _alignment(self, look: _Look, laid: Crop) -> Alignment:
        valid = np.ones(self._count, bool)
        score = float(np.clip(1 - 0.5 * look.spread / self._options.bounds.spread, 0, 1))
        seen = PointSet(
            self.point_sets[0], mu=look.mu.astype(np.float32), sigma=look.sigma.astype(np.float32), valid=valid
        )
        return Alignment((seen,), box_of(laid, score))


def mirrored_nu(nu: NDArray[np.floating[Any]], open_head: HeadModel) -> NDArray[np.floating[Any]]:
    """ν (N,2) of the points on the other side of the head.

    The atlas is symmetric, but the eyeballs' islands lie beside each other below the middle.
    """
    mirrored = nu.copy()
    mirrored[:, 0] = 1 - nu[:, 0]
    eyes = open_head.uv[open_head.regions["left_eyeball"] | open_head.regions["right_eyeball"]]
    (left, low), (right, high) = eyes.min(axis=0), eyes.max(axis=0)
    margin = 1e-3
    inside = (nu[:, 0] >= left - margin) & (nu[:, 0] <= right + margin)
    inside &= (1 - nu[:, 1] >= low - margin) & (1 - nu[:, 1] <= high + margin)
    mirrored[inside, 0] = left + right - nu[inside, 0]
    return mirrored


def _lids_of(head: HeadModel, id: PointSetId) -> LidPoints:
    """The lids among the dense points, on the head's own mean face; closed lids hide the eyeballs."""
    points, eye = head.landmarks[DENSE], _eye_of(head)
    shape = surface_positions(points, head.triangles, head.template) * (1.0, -1.0, -1.0)
    at = {index: place for place, index in enumerate(EYE_POINTS)}
    corners = shape[[at[index] for _, _, *both in LID_POINTS for index in both]]
    moving = np.any([head.regions[name] for name in ("lids", "lips", "ears") if name in head.regions], axis=0)
    still = ~moving[head.triangles[points.triangle]].any(axis=1) & (eye < 0)
    low = corners[:, 1].max() + 0.5 * np.ptp(
        corners[:, 0]
    )  # half a width below the eyes the jaw begins to move the skin
    left, right = (np.array([[at[upper], at[lower]]]) for upper, lower, _, _ in LID_POINTS)
    rigid = np.flatnonzero(still & (shape[:, 1] < low))
    return LidPoints(id, shape, rigid, (left, right), ((id, (np.flatnonzero(eye == 0), np.flatnonzero(eye == 1))),))


def _eye_of(head: HeadModel) -> NDArray[np.int64]:
    """(N,) of the dense points 0 on the left eyeball, 1 on the right one, -1 elsewhere."""
    points = head.landmarks[DENSE]
    joints = [JOINT_NAMES.index(name) for name in ("left_eye", "right_eye")]
    corners = head.skinning_weights[head.triangles[points.triangle]][..., joints]
    weight = np.einsum("nc,ncj->nj", points.barycentric, corners)
    return np.where(weight.max(axis=1) > 0.5, weight.argmax(axis=1), -1)
