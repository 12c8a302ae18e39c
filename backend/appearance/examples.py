"""What a regressor learns from: a take's pictures read again, each cut out several times and looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import CROP, Crop, cut
from backend.alignment.landmarks.face_mesh import box_around, crop_of
from backend.alignment.landmarks.features import FeatureNetwork
from backend.appearance.model import SIDE, Observed
from backend.appearance.person import POINT_SET, FacePoints, Person, iris_centres
from backend.cameras.distortion import distort, lens_of
from backend.errors import Cancelled
from backend.footage.again import open_again
from backend.footage.prefetch import prefetch
from backend.head_model.model import surface_positions
from backend.texture.make import posed_head
from backend.texture.observe import observe
from backend.texture.skin_atlas import skin_atlas
from backend.track.geometry import neutral_of, seen_vertices
from backend.track.types import Track
from backend.training.augmentation.pixels import degrade, recolour
from backend.training.augmentation.sample import jittered
from backend.training.config import AugmentConfig

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

COPIES = 6
"""Times that each picture is cut out: as it is, twice elsewhere, and else in another light, too."""
IN_ITS_LIGHT = 3
MOST = 600
"""Pictures at most, of all views together; of a longer take, evenly spread ones."""
MOST_TEXTURES = 160
"""Frames of the first view whose skin is unwrapped; each takes 0.08 s."""
CHANGES = AugmentConfig(
    rotation=8.0, rotation_sigma=3.0, shift=0.04, scale_low=0.93, scale_high=1.08, mirror=0.0,
    colour=0.6, grey=0.05, blur=0.25, low_resolution=0.15, noise=0.4, compression=0.3,
)  # fmt: skip
"""Crops as far off as a face moves from one picture to the next, and light, lens and codec as in the network's own
training."""


@dataclass(frozen=True, eq=False)
class Examples:
    """N looks at pictures of a take, K of its points: ``frame``, ``view`` (N,); the network's ``features (N,F)``,
    ``own (N,K,2)`` where it sees the points and ``wanted (N,K,2)`` where the fit has them, ``own_iris`` and
    ``wanted_iris (N,2,2)`` the same of the (left, right) irises' centres, pixels of the crop; ``crop (N,4)`` is x, y,
    side, roll."""

    frame: NDArray[np.intp]
    view: NDArray[np.intp]
    features: F32
    own: F32
    wanted: F32
    own_iris: F32
    wanted_iris: F32
    crop: F64

    def __len__(self) -> int:
        return len(self.frame)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


def gather(
    track: Track,
    person: Person,
    frames: NDArray[np.intp],
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    copies: int = COPIES,
    textures: int = MOST_TEXTURES,
    seed: int = 0,
) -> tuple[Examples, Observed]:
    """Look at ``frames (n,)`` of a take, in all its views, and unwrap the skin of some.

    Raises UserError as ``open_again`` does; ``Cancelled``.
    """
    network, rng = FeatureNetwork(), np.random.default_rng(seed)
    parts: list[_Look] = []
    shown: list[tuple[int, F32, F32]] = []
    wanted = _spread(frames, max(1, MOST // len(track.cameras)))
    unwrapped = set(_spread(wanted, textures).tolist())
    atlas, neutral = skin_atlas(person.model, SIDE), neutral_of(person.model, track)
    done, total = 0, len(wanted) * len(track.cameras)
    try:
        for view in range(len(track.cameras)):
            places = projected(track, person, view, wanted)
            for frame, picture in pictures(track, view, wanted):
                if should_cancel():
                    raise Cancelled
                at = places[np.searchsorted(wanted, frame)]
                if np.isfinite(at).all():
                    parts += _looks(network, picture, at, person.points, (view, frame), copies, rng)
                    if view == 0 and frame in unwrapped:
                        seen = observe(person.model, atlas, picture, posed_head(track, person.model, 0, frame, neutral))
                        shown.append((frame, np.asarray(seen.color, np.float32) / 255, seen.weight))
                done += 1
                on_progress("looking at the take", done, total)
    finally:
        network.close()
    return _joined(parts, len(person.points.number)), _observed(shown)


def pictures(track: Track, view: int, frames: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The pictures (H,W,3) of a view at ``frames`` of the track, ascending; those that it has none of are left out.

    Raises UserError as ``open_again`` does.
    """
    camera = track.cameras[view]
    index = {int(camera.footage_frames[frame]): int(frame) for frame in frames if camera.footage_frames[frame] >= 0}
    if not index:
        return
    for found in prefetch(open_again(camera).part((min(index), max(index))), 3):
        if found.number in index:
            yield index[found.number], found.image


def projected(track: Track, person: Person, view: int, frames: NDArray[np.intp]) -> F64:
    """(n,478,2) MediaPipe's points of the fitted head in a view's pictures, pixels; NaN beyond what its lens shows."""
    points, triangles = person.model.landmarks[POINT_SET], person.model.triangles
    neutral, lens = neutral_of(person.model, track), lens_of(track.cameras[view])
    rows = []
    for part in np.array_split(frames, max(1, len(frames) // 50)):
        seen = seen_vertices(person.model, track, part, neutral=neutral, view=view)
        if not lens.ideal:
            seen[..., :2] = distort(seen[..., :2], lens)
        rows.append(surface_positions(points, triangles, seen[..., :2]))
    return np.concatenate(rows).astype(np.float64)


_Look = tuple[int, int, F32, F64, F64, F64, F64, Crop]


def _looks(
    network: FeatureNetwork,
    picture: NDArray[np.uint8],
    at: F64,
    points: FacePoints,
    where: tuple[int, int],
    copies: int,
    rng: np.random.Generator,
) -> list[_Look]:
    base = crop_of(box_around(at))
    crops = [base, *(jittered(base, CHANGES, CROP, rng) for _ in range(copies - 1))]
    cuts = [cut(picture, crop) for crop in crops]
    changed = [degrade(recolour(one, CHANGES, rng), CHANGES, rng) for one in cuts[IN_ITS_LIGHT:]]
    seen = network([*cuts[:IN_ITS_LIGHT], *changed])
    view, frame = where
    looks = []
    for i, crop in enumerate(crops):
        own, wanted = seen.points[i, :, :2], crop.points_from_image(at)
        skin, irises = (own[points.number], wanted[points.number]), (iris_centres(own), iris_centres(wanted))
        looks.append((frame, view, seen.features[i], *skin, *irises, crop))
    return looks


def _joined(parts: list[_Look], count: int) -> Examples:
    rows = list(zip(*parts, strict=True)) or [()] * 8
    crops = [(crop.x, crop.y, crop.side, crop.roll) for crop in rows[7]]
    return Examples(
        np.array(rows[0], np.intp),
        np.array(rows[1], np.intp),
        np.array(rows[2], np.float32),
        np.array(rows[3], np.float32).reshape(-1, count, 2),
        np.array(rows[4], np.float32).reshape(-1, count, 2),
        np.array(rows[5], np.float32).reshape(-1, 2, 2),
        np.array(rows[6], np.float32).reshape(-1, 2, 2),
        np.array(crops, np.float64).reshape(-1, 4),
    )


def _observed(shown: list[tuple[int, F32, F32]]) -> Observed:
    frames = np.array([frame for frame, _, _ in shown], np.intp)
    if not shown:
        return Observed(frames, np.zeros((0, SIDE, SIDE, 3), np.float32), np.zeros((0, SIDE, SIDE), np.float32))
    return Observed(frames, np.stack([color for _, color, _ in shown]), np.stack([w for _, _, w in shown]))


def _spread(frames: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    if len(frames) <= most:
        return frames
    return frames[np.unique(np.linspace(0, len(frames) - 1, most).round().astype(np.intp))]
