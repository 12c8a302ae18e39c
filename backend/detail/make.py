"""A person's wrinkles from a track and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from backend.detail.frames import choose_frames
from backend.detail.light import Light, fit_light
from backend.detail.observe import Look, look, shaded
from backend.detail.skin import SkinPatch, skin_patch, wrinkling
from backend.detail.solve import Solution, solve
from backend.detail.types import Wrinkles
from backend.errors import Cancelled
from backend.head_model.model import HeadModel
from backend.texture.types import Pictures
from backend.track.geometry import neutral_of
from backend.track.types import Track

FEWEST = 6
"""Pictures below which nothing is told."""
LIGHT_STEP = 4
"""Texels apart at which the light is looked at."""


@dataclass(frozen=True)
class WrinklesReport:
    """What was looked at, and what of it told: shares of the seen skin, 0…1, whose depth each map was told of.

    ``fault`` is the pictures' usual fault, logarithm of brightness; ``slid_mm`` how far the skin slides over the
    tracked head, root mean square; ``said`` sentences for the user.
    """

    side: int
    pictures: int
    fault: float
    slid_mm: float
    told_base: float
    told_stretch: float
    told_compression: float
    said: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """As the job's report has it."""
        shares = {name: round(getattr(self, f"told_{name}"), 3) for name in ("base", "stretch", "compression")}
        facts = {"side": self.side, "pictures": self.pictures, "fault": round(self.fault, 4)}
        return {**facts, "slid_mm": round(self.slid_mm, 3), "told": shares}


def make_wrinkles(
    track: Track,
    head: HeadModel,
    pictures: Pictures,
    *,
    side: int,
    on_progress: Callable[[float], None] = lambda _: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> tuple[Wrinkles | None, WrinklesReport]:
    """The wrinkles of the person tracked in ``side`` texels along the atlas, None where the pictures tell of none.

    ``side`` is a multiple of 16.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    patch = skin_patch(head, side)
    chosen = choose_frames(track, head, wrinkling(head))
    looks = _looks(track, head, patch, pictures, chosen, lambda done: on_progress(0.5 * done), should_cancel)
    if len(looks) < FEWEST:
        few = f"Too few pictures tell of wrinkles: {len(looks)} can be used, {FEWEST} are needed."
        return None, WrinklesReport(side, len(looks), 0.0, 0.0, 0.0, 0.0, 0.0, (few,))
    light = light_of(patch, looks)
    seen = [shaded(patch, one, light) for one in looks]

    def on_step(done: float) -> None:
        if should_cancel():
            raise Cancelled
        on_progress(0.5 + 0.5 * done)

    found = solve(patch, seen, on_step=on_step)
    return _kept(patch, found), _report(side, len(looks), found)


def _looks(
    track: Track,
    head: HeadModel,
    patch: SkinPatch,
    pictures: Pictures,
    chosen: list[tuple[int, int]],
    on_progress: Callable[[float], None],
    should_cancel: Callable[[], bool],
) -> list[Look]:
    neutral = neutral_of(head, track)
    looks: list[Look] = []
    for view in sorted({view for view, _ in chosen}):
        for frame, picture in pictures(view, [frame for of, frame in chosen if of == view]):
            if should_cancel():
                raise Cancelled
            looks.append(look(track, head, patch, picture, view, frame, neutral))
            on_progress(len(looks) / len(chosen))
    return [one for one in looks if one.weight.any()]


def light_of(patch: SkinPatch, looks: list[Look]) -> Light:
    """The light of the take in the world, from the skin's slow brightness."""
    blur = 2 * LIGHT_STEP + 1
    normals, brightness, weight = [], [], []
    for one in looks:
        known = one.weight * patch.share
        mean = cv2.blur(known, (blur, blur))
        slow = cv2.blur(one.brightness * known, (blur, blur)) / np.maximum(mean, 1e-6)
        turned = patch.at(one.normals)[::LIGHT_STEP, ::LIGHT_STEP].reshape(-1, 3)
        normals.append(turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6))
        brightness.append(slow[::LIGHT_STEP, ::LIGHT_STEP].ravel())
        weight.append(np.where(mean > 0.05, mean, 0)[::LIGHT_STEP, ::LIGHT_STEP].ravel())
    return fit_light(np.stack(normals), np.stack(brightness), np.stack(weight))


def _kept(patch: SkinPatch, found: Solution) -> Wrinkles | None:
    """The maps in metres, None where none was told of."""
    maps = (found.base, found.stretch, found.compression)
    if not any(own.any() for own in maps):
        return None
    known = 1e-3 * (found.seen > 0)
    base, stretch, compression = (patch.whole(np.asarray(own * known, np.float32)) for own in maps)
    return Wrinkles(base, stretch, compression, patch.whole(found.seen))


def _report(side: int, pictures: int, found: Solution) -> WrinklesReport:
    said = []
    base, stretch, compression = (float(share) for share in found.told)
    if not found.base.any():
        said.append(
            "The light hardly changes relative to the face, so what is always there was left to the texture: wrinkles "
            "that do not come and go cannot be told from lines on the skin."
        )
    if not (found.stretch.any() or found.compression.any()):
        said.append("The skin is hardly stretched or compressed in this footage: no wrinkles come and go with it.")
    return WrinklesReport(side, pictures, found.fault, found.slid_mm, base, stretch, compression, tuple(said))
