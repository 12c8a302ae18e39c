"""Three maps of displacement from many pictures of known light and tension: one linear least squares for the person.

A picture's brightness, beside that of the smooth head, is albedo + gain · what the displacement D = base + T⁺ stretch +
T⁻ compression does to it (its slopes, and how far it stands out) + what changes slowly over the skin. Albedo is free at
every texel, so that only what changes from picture to picture makes depth. Strong texture, such as brows' hair, changes
too where it lies a little off its place: what it shows has more variance (``Slides.false_change``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.detail.band import Band, slope, slope_transposed
from backend.detail.observe import Shaded
from backend.detail.skin import SkinPatch
from backend.detail.slide import Slides
from backend.detail.types import F32

ROUNDS = 4
STEPS = 30
"""Of conjugate gradients in a round."""
CLOSE = 1e-3
"""Residual, beside the right side, at which a round's solve ends."""
AMOUNT_MM = 0.2
"""Standard deviation of displacement that is expected of a wrinkled place."""
CALM_MM = 0.03
"""The same of smooth skin."""
ALIKE = 3.0
"""By how much pictures' faults are worse than if they were another at each texel: they are as wide as wrinkles."""
LEAST_FAULT = 0.01
"""Logarithm of brightness, the noise of a good picture."""
OUTLIER = 2.5
"""Faults off that leave a sample half of its weight."""
LEAST_TENSION = 0.04
"""The largest tension of a place from which its map is told in full; from a fourth of it on it is told at all."""
DEEPEST_MM = 30.0
"""What a tension of 1 adds at most; faces come to a fifth of that tension."""
LEAST_TOLD = np.array([0.25, 0.1, 0.1])
"""Shares of the seen skin that the base, the stretch and the compression must be told of.

The base is told by light that changes as the head turns, and gloss and shadows that change with it look like depth: a
frowning woman with gloss on her nose told 0.11 of it, and it was all gloss; rendered heads that turn by 9° tell 0.4."""
MIRRORED = 4.0
"""By how much what is unseen is held to the other side more firmly than to 0 (seeds/004 eq. 14)."""
ENOUGH_VIEWS = 4.0
"""Sum of weights of pictures from which a texel counts as seen."""


@dataclass(frozen=True, eq=False)
class Solution:
    """``base``, ``stretch``, ``compression`` and ``seen (h,w)``, the maps in millimetres (a tension of 1).

    ``fault`` the pictures' usual fault, logarithm of brightness; ``told (3,)`` the share of the seen skin whose depth
    each map was told of; ``albedo (h,w)`` the logarithm of what is always there and was left to the texture, and
    ``slid_mm`` how far what is painted on the skin slides over the tracked head, root mean square.
    """

    base: F32
    stretch: F32
    compression: F32
    seen: F32
    albedo: F32
    fault: float
    told: F32
    slid_mm: float


def solve(
    patch: SkinPatch,
    pictures: Sequence[Shaded],
    *,
    on_step: Callable[[float], None] = lambda _: None,
) -> Solution:
    """The maps that explain the pictures best; ``on_step`` hears which share is done and may raise to stop it."""
    band = Band(patch.texel_mm)
    top = _largest_tension(band, pictures)
    scale = np.stack([np.ones_like(top[0]), *(1 / np.maximum(one, LEAST_TENSION) for one in top)])
    known = np.stack([np.ones_like(top[0]), *(_ramp(one, LEAST_TENSION / 4, LEAST_TENSION) for one in top)])
    weight = [picture.weight * patch.share for picture in pictures]
    total = np.sum(weight, axis=0)
    seen = np.clip(total / ENOUGH_VIEWS, 0, 1)
    if patch.symmetric:
        seen = np.maximum(seen, 0.5 * seen[:, ::-1] * (patch.share > 0))
    amount = np.full((3, *total.shape), AMOUNT_MM, np.float32)
    maps = np.zeros_like(amount)
    amounts = np.zeros_like(amount)
    slow = [band.slow(picture.level, own) for picture, own in zip(pictures, weight, strict=True)]
    albedo, fault, told = np.zeros_like(total), 0.0, np.zeros(3, np.float32)
    told_of = np.ones(3, bool)
    robust = weight
    slides = Slides(len(pictures), total.shape, patch.texel_mm)
    moved = [np.zeros_like(total) for _ in pictures]
    gains = _Gains(band, pictures, scale)
    for number in range(ROUNDS):

        def step(part: float, number: int = number) -> None:
            on_step((number + part) / ROUNDS)

        gains.show(maps)
        albedo = _albedo(pictures, robust, slow, gains)
        slow = _slow(band, pictures, robust, gains, albedo, moved)
        step(0.1)
        if number:  # once wrinkles are known a little
            painted = [
                picture.level - gains.of(index) - low + slid
                for index, (picture, low, slid) in enumerate(zip(pictures, slow, moved, strict=True))
            ]
            found = slides.follow(painted, robust, (ALIKE * fault) ** 2, lambda: step(0.2))
            slow = [low - before + now for low, before, now in zip(slow, moved, found, strict=True)]
            moved = found
        albedo = _albedo(pictures, robust, slow, gains)
        robust, fault = _trusted(pictures, weight, slow, gains, albedo)
        clear = _clear(slides, robust, albedo, fault)
        square, right = gains.normal_equations(pictures, clear, slow, (ALIKE * fault) ** 2, lambda: step(0.4))
        shape = amount * known * patch.share
        system = _System(band, square, shape, 1 - seen if patch.symmetric else None, gains)
        amounts = system.solve(right, amounts, lambda: step(0.6))
        maps = system.maps(amounts)
        told = np.where(told_of, system.told(seen, _kept(robust, clear)), told).astype(np.float32)
        told_of &= told >= LEAST_TOLD
        known[~told_of] = 0
        local = np.stack([band.slow(one**2, patch.share + 1e-3) for one in maps])
        amount = np.sqrt(np.clip(2 * local, CALM_MM**2, (2 * AMOUNT_MM) ** 2)).astype(np.float32)
        step(1.0)
    base, stretch, compression = (one * share for one, share in zip(maps, scale, strict=True))
    return Solution(base, _bounded(stretch), _bounded(compression), seen, albedo, fault, told, slides.usual_mm(robust))


class _Gains:
    """What the three maps, each as displacement at its largest tension, do to each picture."""

    def __init__(self, band: Band, pictures: Sequence[Shaded], scale: F32) -> None:
        self._band = band
        self._gain = [np.moveaxis(picture.gain, -1, 0) for picture in pictures]
        self._share = [
            np.stack([np.ones_like(p.pulled), p.pulled * scale[1], p.pressed * scale[2]]).astype(np.float32)
            for p in pictures
        ]
        self._parts: F32 | None = None

    def parts(self, depth: F32) -> F32:
        """(3,h,w) slopes of a map and how far it stands out."""
        return np.stack([*slope(depth), self._band.stands_out(depth)])

    def transposed(self, parts: F32) -> F32:
        """The transpose of ``parts``."""
        return slope_transposed(parts[0], parts[1]) + self._band.stands_out(parts[2])

    def show(self, maps: F32) -> None:
        """Take the maps (3,h,w), of which ``of`` then tells."""
        self._parts = np.stack([self.parts(own) for own in maps]) if maps.any() else None

    def of(self, index: int) -> F32:
        """(h,w) the logarithm of brightness that the maps add to a picture.

        Tension changes slowly beside wrinkles, so that the slope of share × map is taken for share × slope.
        """
        if self._parts is None:
            return np.zeros_like(self._gain[index][0])
        found = np.zeros_like(self._gain[index][0])
        for share, parts in zip(self._share[index], self._parts, strict=True):
            found += share * (self._gain[index] * parts).sum(axis=0)
        return found

    def row(self, index: int) -> F32:
        """(9,h,w) the factors of the parts of each map in a picture."""
        gain, share = self._gain[index], self._share[index]
        return np.asarray((share[:, None] * gain[None]).reshape(9, *gain.shape[1:]), np.float32)

    def normal_equations(
        self,
        pictures: Sequence[Shaded],
        weight: Sequence[F32],
        slow: Sequence[F32],
        variance: float,
        on_picture: Callable[[], None],
    ) -> tuple[F32, F32]:
        """(9,9,h,w) and (9,h,w) at each texel, the free albedo taken out."""
        shape = pictures[0].level.shape
        square = np.zeros((9, 9, *shape), np.float32)
        right, mean = np.zeros((2, 9, *shape), np.float32)
        total, level = np.zeros((2, *shape), np.float32)
        for index, (picture, own, low) in enumerate(zip(pictures, weight, slow, strict=True)):
            on_picture()
            row = self.row(index)
            weighted = row * own
            fast = picture.level - low
            for k in range(9):
                square[k, k:] += weighted[k] * row[k:]
            right += weighted * fast
            mean += weighted
            total += own
            level += own * fast
        total = np.maximum(total, 1e-6)
        for k in range(9):
            square[k, k:] -= mean[k] * mean[k:] / total
            square[k:, k] = square[k, k:]
        right -= mean * (level / total)
        return square / variance, right / variance


class _System:
    """The normal equations in amounts of bumps."""

    def __init__(self, band: Band, square: F32, shape: F32, unseen: F32 | None, gains: _Gains) -> None:
        self._band, self._shape, self._unseen, self._gains = band, shape, unseen, gains
        self._where = shape.any(axis=0)
        self._packed = np.ascontiguousarray(np.moveaxis(square[:, :, self._where], -1, 0))
        self._diagonal = np.moveaxis(square[np.arange(9), np.arange(9)], 0, -1)

    def maps(self, amounts: F32) -> F32:
        """(3,h,w) the maps that amounts (3,h,w) make, millimetres."""
        return np.stack([shape * self._band.bumps(own) for shape, own in zip(self._shape, amounts, strict=True)])

    def _back(self, maps: F32) -> F32:
        return np.stack([self._band.bumps(shape * own) for shape, own in zip(self._shape, maps, strict=True)])

    def _times(self, amounts: F32) -> F32:
        maps = self.maps(amounts)
        parts = np.concatenate([self._gains.parts(own) for own in maps])
        pulled = np.zeros_like(parts)
        pulled[:, self._where] = np.matmul(self._packed, parts[:, self._where].T[:, :, None])[:, :, 0].T
        found = np.stack([self._gains.transposed(pulled[3 * k : 3 * k + 3]) for k in range(3)])
        if self._unseen is not None:
            off = self._unseen * (maps - maps[..., ::-1]) * (MIRRORED / AMOUNT_MM**2)
            found += off - off[..., ::-1]
        return amounts + self._back(found)

    def solve(self, right: F32, start: F32, on_step: Callable[[], None]) -> F32:
        """The amounts (3,h,w) of the right side (9,h,w), by conjugate gradients."""
        goal = self._back(np.stack([self._gains.transposed(right[3 * k : 3 * k + 3]) for k in range(3)]))
        amounts = start.copy()
        left = goal - self._times(amounts)
        way = left.copy()
        size = float(np.vdot(left, left))
        enough = CLOSE**2 * float(np.vdot(goal, goal))
        for _ in range(STEPS):
            if size <= enough:
                break
            on_step()
            image = self._times(way)
            step = np.float32(size / float(np.vdot(way, image)))
            amounts += step * way
            left -= step * image
            before, size = size, float(np.vdot(left, left))
            way = left + np.float32(size / before) * way
        return amounts

    def told(self, seen: F32, clear: F32) -> F32:
        """(3,) the share of seen skin where the pictures say more of a map's slopes than is expected of them.

        That is whether light and tension tell: ``clear (h,w)``, the share of the weight that texture leaves, is undone.
        """
        width = 1.5 / self._band.texel_mm
        known = np.stack(
            [self._diagonal[..., 3 * k : 3 * k + 2].sum(axis=-1) / clear * (AMOUNT_MM / width) ** 2 for k in range(3)]
        )
        return np.asarray(((known > 1) & (self._shape > 0))[:, seen > 0.5].mean(axis=1), np.float32)


def _largest_tension(band: Band, pictures: Sequence[Shaded]) -> tuple[F32, F32]:
    """(h,w) the largest T⁺ and T⁻ of each place that several pictures show."""

    def most(values: F32) -> F32:
        place = min(len(values) - 1, max(1, len(values) // 12))
        return band.slow(np.partition(values, -1 - place, axis=0)[-1 - place], np.ones_like(values[0]))

    pulled = np.stack([one.pulled * (one.weight > 0) for one in pictures])
    pressed = np.stack([one.pressed * (one.weight > 0) for one in pictures])
    return most(pulled), most(pressed)


def _slow(
    band: Band, pictures: Sequence[Shaded], weight: Sequence[F32], gains: _Gains, albedo: F32, moved: Sequence[F32]
) -> list[F32]:
    """(h,w) of each picture what changes slowly over the skin, and what sliding adds."""
    return [
        band.slow(picture.level - albedo - gains.of(index) - slid, own) + slid
        for index, (picture, own, slid) in enumerate(zip(pictures, weight, moved, strict=True))
    ]


def _albedo(pictures: Sequence[Shaded], weight: Sequence[F32], slow: Sequence[F32], gains: _Gains) -> F32:
    """(h,w) what is always there."""
    total = np.maximum(np.sum(weight, axis=0), 1e-6)
    found = np.zeros_like(total)
    for index, (picture, own, low) in enumerate(zip(pictures, weight, slow, strict=True)):
        found += own * (picture.level - low - gains.of(index))
    return np.asarray(found / total, np.float32)


def _trusted(
    pictures: Sequence[Shaded], weight: Sequence[F32], slow: Sequence[F32], gains: _Gains, albedo: F32
) -> tuple[list[F32], float]:
    """The weights, less where a picture is unlike the others (Huber's and Cauchy's way), and the usual fault."""
    off = [
        picture.level - low - albedo - gains.of(index)
        for index, (picture, low) in enumerate(zip(pictures, slow, strict=True))
    ]
    clear = np.concatenate([np.abs(one[own > 0.3])[::7] for one, own in zip(off, weight, strict=True)])
    fault = max(LEAST_FAULT, 1.4826 * float(np.median(clear)) if len(clear) else 0.0)
    return [
        np.asarray(own / (1 + (one / (OUTLIER * fault)) ** 2), np.float32) for one, own in zip(off, weight, strict=True)
    ], fault


def _clear(slides: Slides, weight: Sequence[F32], albedo: F32, fault: float) -> list[F32]:
    """The weights, less where strong texture, such as hair, that lies a little off would look like depth.

    What the usual skin's texture does is in the usual fault.
    """
    false = slides.false_change(albedo, weight)
    seen = np.concatenate([one[own > 0.3][::7] for one, own in zip(false, weight, strict=True)])
    usual = float(np.median(seen)) if len(seen) else 0.0
    variance = (ALIKE * fault) ** 2
    return [
        np.asarray(own * (variance / (variance + np.maximum(one - usual, 0))), np.float32)
        for one, own in zip(false, weight, strict=True)
    ]


def _kept(weight: Sequence[F32], clear: Sequence[F32]) -> F32:
    """(h,w) the share of the weights that ``clear`` has."""
    return np.asarray(np.sum(clear, axis=0) / np.maximum(np.sum(weight, axis=0), 1e-6) + 1e-6, np.float32)


def _bounded(depth: F32) -> F32:
    """A map without what no skin does."""
    return np.clip(depth, -DEEPEST_MM, DEEPEST_MM)


def _ramp(values: F32, begin: float, end: float) -> F32:
    return np.asarray(np.clip((values - begin) / (end - begin), 0, 1), np.float32)
