"""One picture of the take as wrinkles see it: how bright each texel is, beside how it would be on a smooth head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.detail.light import Light, shading_change
from backend.detail.skin import SkinPatch, edges_of, slopes
from backend.detail.tension import tension
from backend.detail.types import F32
from backend.head_model.model import HeadModel, posed_vertices
from backend.texture.make import posed_head
from backend.texture.observe import observe
from backend.texture.types import Picture
from backend.track.geometry import person_of
from backend.track.types import Track

F64 = NDArray[np.float64]

DARK, BRIGHT = 10, 248
"""Grey levels between which a picture tells how bright skin is."""
LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Of linear sRGB."""
OCCLUSION = 0.7
"""By how much of its even light a groove's floor is darker, for a depth of 1 in widths of ``ABOUT_MM``: what such a
groove between high walls loses of a sky that is equally bright all over."""


@dataclass(frozen=True, eq=False)
class Look:
    """A picture's ``brightness (h,w)``, linear, and its ``weight (h,w)`` 0…1 on a ``SkinPatch``, and the head in it.

    ``normals (V,3)`` in the world, ``slopes (V,3,2)`` as ``skin.slopes`` gives them, ``tension (V,)``.
    """

    brightness: F32
    weight: F32
    normals: F32
    slopes: F32
    tension: F32


@dataclass(frozen=True, eq=False)
class Shaded:
    """What one picture says of the displacement, on a patch.

    ``level (h,w)`` the logarithm of brightness over that of the smooth head; ``gain (h,w,3)`` how much it rises with
    the displacement's derivatives by column and row (millimetres a texel) and with how far it stands out of what is
    about it (millimetres a millimetre); ``pulled``, ``pressed (h,w)`` its T⁺ and T⁻; ``weight (h,w)``.
    """

    level: F32
    gain: F32
    pulled: F32
    pressed: F32
    weight: F32


def look(
    track: Track,
    head: HeadModel,
    patch: SkinPatch,
    picture: Picture,
    view: int,
    frame: int,
    neutral: NDArray[np.float32],
) -> Look:
    """A picture of the take laid out on the patch."""
    face = posed_head(track, head, view, frame, neutral)
    seen = observe(head, patch.atlas, picture, face)
    color, weight = patch.cut(seen.color), patch.cut(seen.weight) * (patch.share > 0)
    usable = (color.max(axis=-1) < BRIGHT) & (color.min(axis=-1) > 0) & (color.mean(axis=-1) > DARK)
    linear = np.power(color.astype(np.float32) / 255, np.float32(2.2)) @ np.array(LUMINANCE, np.float32)
    to_world = track.cameras[view].world_to_camera[frame, :, :3].T
    normals, along = slopes(head, np.asarray(face.vertices, np.float64) @ to_world.T, patch.atlas.side)
    posed = posed_vertices(
        person_of(head, track), neutral, track.expression[frame : frame + 1], track.gaze[frame : frame + 1]
    )
    return Look(
        np.maximum(linear, 1e-4).astype(np.float32),
        (weight * cv2.erode(usable.astype(np.uint8), np.ones((3, 3), np.uint8))).astype(np.float32),
        normals.astype(np.float32),
        along.astype(np.float32),
        tension(posed[0], neutral, edges_of(head)),
    )


def shaded(patch: SkinPatch, seen: Look, light: Light) -> Shaded:
    """The picture in the take's light."""
    values = patch.at(np.column_stack([seen.normals, seen.slopes.reshape(-1, 6), seen.tension]))
    normals = values[..., :3]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    shade = light.shading(normals)
    towards = -shading_change(normals, light.coefficients) / shade[..., None]
    along = np.einsum("hwc,hwck->hwk", towards, values[..., 3:9].reshape(*normals.shape, 2))
    hollow = OCCLUSION * light.even_share(normals)
    gain = np.dstack([1e-3 * along, hollow])
    lit = np.clip(shade / (0.5 * light.usual), 0, 1)  # near the shadow's edge the order 2 says little
    return Shaded(
        np.log(seen.brightness / shade).astype(np.float32),
        gain.astype(np.float32),
        np.maximum(values[..., 9], 0),
        np.maximum(-values[..., 9], 0),
        (seen.weight * lit**2).astype(np.float32),
    )
