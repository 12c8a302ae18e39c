"""Random changes to a training picture that a face tracker has to see through (seeds/000 D.2).

A sample is cut, turned, shifted, scaled and mirrored in one pass from its picture to the network's input, with its
points; then background, occlusion, colour, blur, noise and compression change the pixels alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop
from backend.training.augmentation.backgrounds import Backgrounds
from backend.training.augmentation.occlusion import hide_parts
from backend.training.augmentation.pixels import degrade, recolour
from backend.training.config import AugmentConfig
from backend.training.samples import Sample

BEYOND = 0.5
"""Points farther outside the crop than this, in sides of the crop, teach nothing: nobody can tell where they are."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Augmented:
    """One sample as the network sees it.

    ``image (D,D,3)`` uint8 RGB, ``mu (P,2)`` float32 pixels of it, ``weight (P,)`` float32, ``visible (P,)`` bool:
    inside the head's own silhouette and not behind an opaque occluder.
    """

    image: Image
    mu: NDArray[np.float32]
    weight: NDArray[np.float32]
    visible: NDArray[np.bool_]


class Augmenter:
    """Turns samples into what the network sees; every call is a function of the sample and its generator alone.

    ``size`` is D_img in pixels, ``mirror (P,)`` the points' mirror images (``mirror_permutation``).
    """

    def __init__(self, config: AugmentConfig, size: int, mirror: NDArray[np.intp]) -> None:
        self._config, self._size, self._mirror = config, size, mirror
        self._backgrounds = Backgrounds()

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Augmented:
        """One random view of ``sample``."""
        config = self._config
        crop = jittered(sample.crop, config, self._size, rng)
        cut = place(sample, crop, self._mirror)
        changed = rng.random() < config.background and not bool(sample.foreground.min())
        if changed:
            foreground = warp(sample.foreground, crop, cv2.BORDER_CONSTANT)
            image = self._backgrounds.behind(warp(sample.image, crop, cv2.BORDER_REPLICATE), foreground, rng)
        else:
            image = warp(sample.image, crop, *_border(rng))
        image, covered = hide_parts(image, self._backgrounds, config, rng)
        image = degrade(recolour(image, config, rng), config, rng)
        visible = cut.visible if covered is None else cut.visible & ~at_points(covered, cut.mu)
        return Augmented(image, cut.mu, cut.weight, visible)


def centred(sample: Sample, size: int) -> Augmented:
    """The sample as a perfect detector cuts it out, ``size`` pixels wide, otherwise unchanged: for validation."""
    crop = replace(sample.crop, size=size)
    return replace(place(sample, crop, None), image=warp(sample.image, crop, cv2.BORDER_CONSTANT))


def jittered(crop: Crop, config: AugmentConfig, size: int, rng: np.random.Generator) -> Crop:
    """A crop of ``size`` pixels near ``crop``, turned, shifted, scaled and perhaps mirrored."""
    turn = np.radians(np.clip(rng.normal(0, config.rotation_sigma), -config.rotation, config.rotation))
    shift = rng.uniform(-config.shift, config.shift, 2) * crop.side
    scale = np.exp(rng.uniform(np.log(config.scale_low), np.log(config.scale_high)))
    flip = bool(rng.random() < config.mirror)
    return Crop(
        crop.x + float(shift[0]),
        crop.y + float(shift[1]),
        crop.side * float(scale),
        crop.roll + float(turn),
        mirrored=flip != crop.mirrored,
        size=size,
    )


def place(sample: Sample, crop: Crop, mirror: NDArray[np.intp] | None) -> Augmented:
    """The sample's points in ``crop``, with an empty image. In a mirrored crop a point is what its mirror image was."""
    mu = crop.points_from_image(sample.mu.astype(np.float64)).astype(np.float32)
    weight, visible = sample.weight, sample.visible
    if crop.mirrored:
        if mirror is None:
            raise ValueError("a mirrored crop needs the points' mirror images")
        mu, weight, visible = mu[mirror], weight[mirror], visible[mirror]
    outside = np.maximum(-mu, mu - crop.size).max(axis=1) > BEYOND * crop.size
    return Augmented(np.empty((0, 0, 3), np.uint8), mu, np.where(outside, np.float32(0), weight), visible)


def warp(image: Image, crop: Crop, border: int, value: tuple[int, ...] = (0, 0, 0)) -> Image:
    """The crop's pixels (size,size[,3]) of a picture."""
    affine = crop.to_image
    shrink = crop.side / crop.size
    if shrink > 1.5:
        height, width = image.shape[:2]
        small = max(1, round(width / shrink)), max(1, round(height / shrink))
        affine = affine * np.array([[small[0] / width], [small[1] / height]])
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
    # OpenCV counts from pixel centres, DESIGN §3 from the image's corner.
    affine[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, affine, (crop.size, crop.size), flags=flags, borderMode=border, borderValue=value)
    return np.asarray(warped, np.uint8)


def at_points(mask: NDArray[np.bool_], mu: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The mask's (D,D) values at points (P,2) in its pixels; False outside of it."""
    size = mask.shape[0]
    column, row = np.floor(mu).astype(np.int32).T
    inside = (column >= 0) & (row >= 0) & (column < size) & (row < size)
    return mask[np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)] & inside


def _border(rng: np.random.Generator) -> tuple[int, tuple[int, ...]]:
    """The surroundings of a picture: smeared edges, or the black or colour of a frame's own edge."""
    kind = rng.random()
    if kind < 0.5:
        return cv2.BORDER_REPLICATE, (0, 0, 0)
    colour = (0, 0, 0) if kind < 0.8 else tuple(int(value) for value in rng.integers(0, 256, 3))
    return cv2.BORDER_CONSTANT, colour
