"""Alignments on disk: written in chunks while footage is aligned, so that a job that dies need not start afresh.

A chunk and a whole take of one view have the same layout, one npz of the arrays of ``SavedAlignment``; the arrays of a
take's second view are called ``view1/mu`` and so on. Reading one needs neither the aligner nor its libraries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.files import read_npz, write_npz

if TYPE_CHECKING:
    from backend.alignment.face_following import AlignedFrame

CHUNK_FRAMES = 64
BOX_FIELDS = ("left", "top", "width", "height", "score", "roll")


@dataclass(frozen=True, eq=False)
class SavedAlignment:
    """Where N surface points lie in T frames of one view; pixels as in ``backend.alignment.types.Alignment``.

    Frames without a face have ``found`` False, no valid point, ``mu`` 0 and ``sigma`` 1.
    """

    numbers: NDArray[np.int64]  # (T,) footage frame numbers
    times: NDArray[np.float64]  # (T,) seconds
    scene_frames: NDArray[np.float64]  # (T,)
    found: NDArray[np.bool_]  # (T,)
    mu: NDArray[np.float32]  # (T,N,2) pixels
    sigma: NDArray[np.float32]  # (T,N) pixels
    valid: NDArray[np.bool_]  # (T,N)
    boxes: NDArray[np.float64]  # (T,6) BOX_FIELDS; 0 where not found
    faces_seen: NDArray[np.int64]  # (T,) 0 where the image was not searched for more faces
    lids_closed: NDArray[np.bool_]  # (T,2) eyes (left, right) seen closed
    landmarks: str = "mediapipe478"  # what the points are: a point set in HeadModel.landmarks
    aligner: str = "mediapipe"  # who saw them


SHAPES = {
    "numbers": ("i8", 1),
    "times": ("f8", 1),
    "scene_frames": ("f8", 1),
    "found": ("?", 1),
    "mu": ("f4", 3),
    "sigma": ("f4", 2),
    "valid": ("?", 2),
    "boxes": ("f8", 2),
    "faces_seen": ("i8", 1),
    "lids_closed": ("?", 2),
}
WORDS = ("landmarks", "aligner")
"""Texts, kept as UTF-8 bytes; files made before there was a choice of aligner have none."""
MAX_WORD = 100
MAX_BYTES = 4 << 30  # of a take of several views, unpacked


def save_alignment(alignment: SavedAlignment, path: Path) -> None:
    """Write one view's alignment as ``save_alignments`` does."""
    save_alignments([alignment], path)


def save_alignments(views: Sequence[SavedAlignment], path: Path) -> None:
    """Write all views' alignments, atomically and uncompressed: noise does not shrink, and chunks must not slow us."""
    arrays = {_prefix(i) + name: getattr(view, name) for i, view in enumerate(views) for name in SHAPES}
    for i, view in enumerate(views):
        arrays |= {_prefix(i) + name: np.frombuffer(getattr(view, name).encode(), np.uint8) for name in WORDS}
    write_npz(path, arrays, compress=False)


def load_alignment(path: Path) -> SavedAlignment:
    """Read the first view's alignment; raises as ``load_alignments`` does."""
    return load_alignments(path)[0]


def load_alignments(path: Path) -> tuple[SavedAlignment, ...]:
    """Read every view's alignment.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``bad_alignment``, ``too_large``.
    """
    arrays = read_npz(path, "alignment", MAX_BYTES)
    count = 1
    while f"{_prefix(count)}mu" in arrays:
        count += 1
    return tuple(_checked(arrays, _prefix(index), path) for index in range(count))


def _prefix(view: int) -> str:
    return f"view{view}/" if view else ""


def _checked(arrays: Mapping[str, NDArray[Any]], prefix: str, path: Path) -> SavedAlignment:
    found: dict[str, Any] = {name: arrays[prefix + name] for name in SHAPES if prefix + name in arrays}
    if "lids_closed" not in found and "numbers" in found:
        found["lids_closed"] = np.zeros((len(found["numbers"]), 2), bool)  # files made before anyone looked
    for name, (dtype, ndim) in SHAPES.items():
        array = found.get(name)
        if array is None or array.dtype != np.dtype(dtype) or array.ndim != ndim:
            raise _bad(path, f"“{prefix}{name}” is missing or of another kind")
        if len(array) != len(found["numbers"]):
            raise _bad(path, f"“{prefix}{name}” has {len(array)} frames, not {len(found['numbers'])}")
    frames, points = found["sigma"].shape
    if found["mu"].shape != (frames, points, 2) or found["valid"].shape != (frames, points):
        raise _bad(path, "its numbers of points differ")
    if found["boxes"].shape != (frames, len(BOX_FIELDS)) or found["lids_closed"].shape != (frames, 2):
        raise _bad(path, f"“{prefix}boxes” must have {len(BOX_FIELDS)} columns, “{prefix}lids_closed” 2")
    words: dict[str, Any] = {
        name: _word(arrays[prefix + name], prefix + name, path) for name in WORDS if prefix + name in arrays
    }
    return SavedAlignment(**found, **words)


def _word(array: NDArray[Any], name: str, path: Path) -> str:
    if array.dtype != np.uint8 or array.ndim != 1 or not 0 < len(array) <= MAX_WORD:
        raise _bad(path, f"“{name}” is no name")
    try:
        return array.tobytes().decode()
    except UnicodeDecodeError as error:
        raise _bad(path, f"“{name}” is no name") from error


class AlignmentChunks:
    """The growing alignment of a job in a folder of its own, one file per ``CHUNK_FRAMES`` frames.

    ``landmarks`` and ``aligner`` are those of the aligner that makes the frames.
    """

    def __init__(self, folder: Path, landmarks: str = "mediapipe478", aligner: str = "mediapipe") -> None:
        self._folder = folder
        self._words: dict[str, Any] = {"landmarks": landmarks, "aligner": aligner}
        self._frames: list[AlignedFrame] = []
        self._saved = 0
        folder.mkdir(exist_ok=True, parents=True)

    def add(self, frame: AlignedFrame) -> None:
        """Keep a frame; writes a chunk when there are enough."""
        self._frames.append(frame)
        if len(self._frames) >= CHUNK_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Write what is not yet on disk."""
        if self._frames:
            packed = dataclasses.replace(_pack(self._frames), **self._words)
            save_alignment(packed, self._folder / f"{self._saved:08d}.npz")
            self._saved += len(self._frames)
            self._frames = []

    def read(self) -> SavedAlignment:
        """Everything on disk as one.

        Raises:
            UserError: ``no_frames`` where there is nothing; ``bad_alignment`` where chunks are of another aligner.
        """
        chunks = [load_alignment(path) for path in sorted(self._folder.glob("[0-9]*.npz"))]
        if not chunks:
            raise UserError("no_frames", f"There is no alignment in {self._folder}.", "Track the footage again.")
        strange = next((c.aligner for c in chunks if [getattr(c, w) for w in WORDS] != [*self._words.values()]), None)
        if strange is not None:
            raise _bad(self._folder, f"it was begun by the aligner “{strange}”, not by “{self._words['aligner']}”")
        return _join(chunks)

    def remove(self) -> None:
        """Delete the chunks, once they are in one file."""
        for path in self._folder.glob("[0-9]*.npz"):
            path.unlink()
        self._folder.rmdir()


def _pack(frames: Sequence[AlignedFrame]) -> SavedAlignment:
    seen = [(t, frame.alignment) for t, frame in enumerate(frames) if frame.alignment is not None]
    points = len(seen[0][1].mu) if seen else 0
    packed = SavedAlignment(
        numbers=np.array([frame.number for frame in frames], np.int64),
        times=np.array([frame.time for frame in frames], np.float64),
        scene_frames=np.array([frame.scene_frame for frame in frames], np.float64),
        found=np.array([frame.alignment is not None for frame in frames]),
        mu=np.zeros((len(frames), points, 2), np.float32),
        sigma=np.ones((len(frames), points), np.float32),
        valid=np.zeros((len(frames), points), bool),
        boxes=np.zeros((len(frames), len(BOX_FIELDS))),
        faces_seen=np.array([frame.faces_seen for frame in frames], np.int64),
        lids_closed=np.zeros((len(frames), 2), bool),
    )
    for t, alignment in seen:
        packed.mu[t], packed.sigma[t], packed.valid[t] = alignment.mu, alignment.sigma, alignment.valid
        if alignment.lids_closed is not None:
            packed.lids_closed[t] = alignment.lids_closed
        packed.boxes[t] = [getattr(alignment.box, name) for name in BOX_FIELDS]
    return packed


def _join(chunks: Sequence[SavedAlignment]) -> SavedAlignment:
    """Chunks after one another; those in which no face was found do not know how many points there are."""
    points = max(chunk.sigma.shape[1] for chunk in chunks)
    joined: dict[str, Any] = {}
    for name in SHAPES:
        parts = [getattr(chunk, name) for chunk in chunks]
        if name in ("mu", "sigma", "valid"):
            fill = 1 if name == "sigma" else 0
            parts = [p if p.shape[1] else np.full((len(p), points, *p.shape[2:]), fill, p.dtype) for p in parts]
        joined[name] = np.concatenate(parts)
    return dataclasses.replace(chunks[0], **joined)


def _bad(path: Path, why: str) -> UserError:
    return UserError("bad_alignment", f"{path} is not a whole alignment: {why}.", "Track the footage again.")
