"""Alignments on disk.

A take is one npz: of each view the arrays in ``SHAPES``, ``image_size``,
``frame_rate`` and ``aligner``, and of its point sets ``set0/mu``, ``set0/sigma``, ``set0/valid``, ``set0/name``,
``set0/made_by``, then ``set1/…``; free points have ``set0/triangle`` and ``set0/barycentric`` as well. Names of a
take's second view begin with ``view1/`` and so on; texts are UTF-8 bytes. Reading one needs neither the aligner nor its
libraries.

``version`` is the format's. Files from before it was written are of versions 1 (one view and one set, without ``set0/``
and without a name), 2 (several views; the set is called by ``landmarks``) or 3 (several sets), and are told apart by
what is in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.head_model.model import SurfacePoints
from backend.observations.types import BOX_FIELDS, PointSet, PointSetId, ViewAlignment
from protocol.arrays import LARGEST
from protocol.bounds import FARTHEST_PX, MAX_SIDE
from protocol.face_actions import ARKIT_ACTIONS
from protocol.take_codec import FASTEST

Arrays = Mapping[str, NDArray[Any]]

SHAPES = {
    "numbers": ("i8", 1),
    "times": ("f8", 1),
    "scene_frames": ("f8", 1),
    "found": ("?", 1),
    "boxes": ("f8", 2),
    "faces_seen": ("i8", 1),
    "shot_numbers": ("i8", 1),
    "lid_closure": ("f4", 2),
    "action_scores": ("f4", 2),
}
"""The arrays of a view beside its point sets."""
SET_SHAPES = {"mu": ("f4", 3), "sigma": ("f4", 2), "valid": ("?", 2)}
FIRST = PointSetId("mediapipe478", "mediapipe")
"""The point set of files that were made before there was a choice."""
VERSION = 4
MAX_WORD = 100
MAX_SETS = 64
MAX_BYTES = 4 << 30  # of a take of several views, unpacked


def save_alignment(alignment: ViewAlignment, path: Path) -> None:
    """Write one view's alignment as ``save_alignments`` does."""
    save_alignments([alignment], path)


def save_alignments(views: Sequence[ViewAlignment], path: Path) -> None:
    """Write all views' alignments, atomically and uncompressed: noise does not shrink, and chunks must not slow us."""
    write_npz(path, arrays_of(views), compress=False)


def load_alignment(path: Path) -> ViewAlignment:
    """Read the first view's alignment; raises as ``load_alignments`` does."""
    return load_alignments(path)[0]


def load_alignments(path: Path) -> tuple[ViewAlignment, ...]:
    """Read every view's alignment.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``bad_alignment``, ``too_large``.
    """
    return views_in(read_npz(path, "alignment", MAX_BYTES), path)


def arrays_of(views: Sequence[ViewAlignment]) -> dict[str, NDArray[Any]]:
    """The arrays of all views by their names in a file."""
    arrays: dict[str, NDArray[Any]] = {"version": np.array([VERSION], np.int64)}
    for number, view in enumerate(views):
        arrays |= {_prefix(number) + name: array for name, array in _view_arrays(view).items()}
    return arrays


def views_in(arrays: Arrays, path: Path) -> tuple[ViewAlignment, ...]:
    """The views whose arrays these are, of the file ``path``. Raises UserError ``bad_alignment``."""
    _require_readable(arrays.get("version"), path)
    count = 1
    while f"{_prefix(count)}numbers" in arrays:
        count += 1
    return tuple(_read_view(arrays, _prefix(index), path) for index in range(count))


def _require_readable(version: NDArray[Any] | None, path: Path) -> None:
    if version is None:
        return
    if version.shape != (1,) or version.dtype != np.int64:
        raise _bad(path, "its format version is no number")
    if version[0] not in range(1, VERSION + 1):
        sentence = f"{path} has format version {version[0]}; this FlowFace reads up to version {VERSION}."
        raise UserError(ErrorCode.BAD_ALIGNMENT, sentence, "Update FlowFace, or track the footage again.")


def _prefix(view: int) -> str:
    return f"view{view}/" if view else ""


def _view_arrays(view: ViewAlignment) -> dict[str, NDArray[Any]]:
    always = SHAPES.keys() - {"lid_closure", "action_scores"}
    arrays: dict[str, NDArray[Any]] = {name: getattr(view, name) for name in sorted(always)}
    scores = view.action_scores
    untold = np.full((view.frame_count, len(ARKIT_ACTIONS)), np.nan, np.float32)
    arrays["action_scores"] = untold if scores is None else scores
    lids = view.lid_closure
    arrays["lid_closure"] = np.full((view.frame_count, 2), np.nan, np.float32) if lids is None else lids
    arrays["image_size"] = np.array(view.image_size, np.int64)
    arrays["frame_rate"] = np.array([view.frame_rate], np.float64)
    arrays["aligner"] = _bytes(view.aligner)
    for number, seen in enumerate(view.point_sets):
        own = {"mu": seen.mu, "sigma": seen.sigma, "valid": seen.valid}
        own |= {"name": _bytes(seen.id.name), "made_by": _bytes(seen.id.made_by)}
        if seen.points is not None:
            own |= {"triangle": seen.points.triangle, "barycentric": seen.points.barycentric}
        arrays |= {f"set{number}/{name}": array for name, array in own.items()}
    return arrays


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _read_view(arrays: Arrays, prefix: str, path: Path) -> ViewAlignment:
    found: dict[str, Any] = {name: arrays[prefix + name] for name in SHAPES if prefix + name in arrays}
    if "lid_closure" not in found and "numbers" in found:
        found["lid_closure"] = _closure_of_old(arrays, prefix, len(found["numbers"]))
    if "shot_numbers" not in found and "numbers" in found:
        found["shot_numbers"] = np.zeros(len(found["numbers"]), np.int64)  # files made before cuts were looked for
    if "action_scores" not in found and "numbers" in found:  # files made before anyone was asked
        found["action_scores"] = np.full((len(found["numbers"]), len(ARKIT_ACTIONS)), np.nan, np.float32)
    _check(found, SHAPES, prefix, path)
    frames = len(found["numbers"])
    if found["boxes"].shape != (frames, len(BOX_FIELDS)) or found["lid_closure"].shape != (frames, 2):
        raise _bad(path, f"“{prefix}boxes” must have {len(BOX_FIELDS)} columns, “{prefix}lid_closure” 2")
    if found["action_scores"].shape[1] != len(ARKIT_ACTIONS):
        raise _bad(path, f"“{prefix}action_scores” must have {len(ARKIT_ACTIONS)} columns")
    aligner = _word(arrays, f"{prefix}aligner", path, FIRST.made_by)
    sets = _read_sets(arrays, prefix, path, frames)
    size = arrays.get(f"{prefix}image_size", np.zeros(2, np.int64))
    rate = arrays.get(f"{prefix}frame_rate", np.array([30.0]))
    if size.shape != (2,) or size.dtype != np.int64 or rate.shape != (1,) or not 0 < rate[0] <= FASTEST:
        raise _bad(path, f"“{prefix}image_size” or “{prefix}frame_rate” is of another kind")
    if not 0 <= size.min() <= size.max() <= MAX_SIDE:
        raise _bad(path, f"“{prefix}image_size” is of no picture")
    for name in ("times", "scene_frames", "boxes"):
        if not np.abs(found[name]).max(initial=0.0) <= LARGEST:
            raise _bad(path, f"“{prefix}{name}” holds numbers that are none of footage")
    if (np.diff(found["times"]) < 0).any():
        raise _bad(path, f"“{prefix}times” runs backwards")
    return ViewAlignment(
        point_sets=sets,
        image_size=(int(size[0]), int(size[1])),
        frame_rate=float(rate[0]),
        aligner=aligner,
        **found,
    )


def _closure_of_old(arrays: Arrays, prefix: str, frames: int) -> NDArray[np.float32]:
    """Files that only say which lids were seen closed know nothing of the others; older ones know nothing at all."""
    closed = arrays.get(f"{prefix}lids_closed")
    if closed is None or closed.dtype != np.bool_ or closed.shape != (frames, 2):
        return np.full((frames, 2), np.nan, np.float32)
    return np.where(closed, np.float32(1), np.float32(0))


def _read_sets(arrays: Arrays, prefix: str, path: Path, frames: int) -> tuple[PointSet, ...]:
    if f"{prefix}set0/mu" not in arrays:  # files made before there were several
        maker = _word(arrays, f"{prefix}aligner", path, FIRST.made_by)
        name = _word(arrays, f"{prefix}landmarks", path, FIRST.name)
        return (_read_set(arrays, prefix, PointSetId(name, maker), path, frames),)
    sets: list[PointSet] = []
    while f"{prefix}set{len(sets)}/mu" in arrays and len(sets) < MAX_SETS:
        own = f"{prefix}set{len(sets)}/"
        id = PointSetId(_word(arrays, f"{own}name", path), _word(arrays, f"{own}made_by", path))
        sets.append(_read_set(arrays, own, id, path, frames))
    return tuple(sets)


def _read_set(arrays: Arrays, prefix: str, id: PointSetId, path: Path, frames: int) -> PointSet:
    found = {name: arrays[prefix + name] for name in SET_SHAPES if prefix + name in arrays}
    _check(found, SET_SHAPES, prefix, path, frames)
    count = found["sigma"].shape[1]
    if found["mu"].shape != (frames, count, 2) or found["valid"].shape != (frames, count):
        raise _bad(path, "its numbers of points differ")
    with np.errstate(invalid="ignore"):
        seen = (np.abs(found["mu"]).max(axis=2) <= FARTHEST_PX) & (found["sigma"] > 0) & (found["sigma"] < np.inf)
    if count and not seen[found["valid"]].all():
        raise _bad(path, f"“{prefix}mu” or “{prefix}sigma” holds what no picture shows")
    triangle, barycentric = arrays.get(f"{prefix}triangle"), arrays.get(f"{prefix}barycentric")
    points = None
    if triangle is not None and barycentric is not None:
        if triangle.shape != (count,) or barycentric.shape != (count, 3) or triangle.dtype != np.int32:
            raise _bad(path, f"“{prefix}triangle” and “{prefix}barycentric” do not name {count} points")
        if (
            triangle.min(initial=0) < 0
            or not np.abs(barycentric.sum(axis=1, dtype=np.float64) - 1).max(initial=0) < 0.01
        ):
            raise _bad(path, f"“{prefix}triangle” and “{prefix}barycentric” name no points of a surface")
        points = SurfacePoints(triangle, barycentric.astype(np.float32))
    return PointSet(id, **found, points=points)


def _check(
    found: Arrays, shapes: Mapping[str, tuple[str, int]], prefix: str, path: Path, frames: int | None = None
) -> None:
    for name, (dtype, ndim) in shapes.items():
        array = found.get(name)
        if array is None or array.dtype != np.dtype(dtype) or array.ndim != ndim:
            raise _bad(path, f"“{prefix}{name}” is missing or of another kind")
        expected = len(found["numbers"]) if frames is None else frames
        if len(array) != expected:
            raise _bad(path, f"“{prefix}{name}” has {len(array)} frames, not {expected}")


def _word(arrays: Arrays, name: str, path: Path, absent: str | None = None) -> str:
    array = arrays.get(name)
    if array is None and absent is not None:
        return absent
    if array is None or array.dtype != np.uint8 or array.ndim != 1 or not 0 < len(array) <= MAX_WORD:
        raise _bad(path, f"“{name}” is no name")
    try:
        return array.tobytes().decode()
    except UnicodeDecodeError as error:
        raise _bad(path, f"“{name}” is no name") from error


def _bad(path: Path, why: str) -> UserError:
    return UserError(ErrorCode.BAD_ALIGNMENT, f"{path} is not a whole alignment: {why}.", "Track the footage again.")
