"""The growing alignment of one view on disk, in chunks, so that a job that dies need not start afresh.

A chunk is one npz: successive frames as each face that is followed shows them, in the layout of ``io`` (a face where
that has a view), with ``state/…`` that whoever follows the faces needs to go on behind its last frame, and ``key``.
Chunks are named by the place of their first frame; they count from the first one as far as they follow each other
whole and with one key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.errors import UserError
from backend.files import read_npz, write_npz
from backend.observations.io import MAX_BYTES, Arrays, arrays_of, views_in
from backend.observations.types import AlignedFrame, PointSetId, ViewAlignment

log = logging.getLogger(__name__)

CHUNK_FRAMES = 64
CHUNK_SECONDS = 2.0
"""A chunk is written when it has so many frames or took so long: what a killed job loses at most."""
_KEY = "key"
_STATE = "state/"
_NAMES = "[0-9]*.npz"


@dataclass(frozen=True, eq=False)
class Chunk:
    """Successive frames of a view as each of one or more faces shows them, and the ``state`` behind the last."""

    faces: tuple[ViewAlignment, ...]
    state: Arrays

    @property
    def frame_count(self) -> int:
        """The number of its frames."""
        return self.faces[0].frame_count


class AlignmentChunks:
    """The chunks of one view, in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        ids: Sequence[PointSetId],
        aligner: str,
        *,
        key: str,
        image_size: tuple[int, int],
        frame_rate: float,
    ) -> None:
        """``ids`` and ``aligner`` are those of the aligner that makes the frames, sizes and rate the footage's; ``key``
        stands for all that the frames are made from: chunks with another one are not this view's."""
        self._folder, self._key = folder, np.frombuffer(key.encode(), np.uint8)
        self._ids, self._aligner = tuple(ids), aligner
        self._image_size, self._frame_rate = image_size, frame_rate
        self._saved = 0

    def take_up(self) -> list[Chunk]:
        """The chunks that an earlier run left, in order; further ones go behind them. Deletes what cannot be used."""
        chunks = list(self._usable())
        self._saved = sum(chunk.frame_count for chunk in chunks)
        kept = {self._path(start) for start in np.cumsum([0, *(chunk.frame_count for chunk in chunks)])[:-1]}
        for path in self._folder.glob(_NAMES):
            if path not in kept:
                path.unlink(missing_ok=True)
        return chunks

    def write(self, faces: Sequence[Sequence[AlignedFrame]], state: Arrays) -> None:
        """Add the next frames, as each face shows them. Raises OSError."""
        views = [
            ViewAlignment.stacked(
                frames,
                self._ids,
                aligner=self._aligner,
                image_size=self._image_size,
                frame_rate=self._frame_rate,
            )
            for frames in faces
        ]
        arrays = arrays_of(views) | {_STATE + name: array for name, array in state.items()} | {_KEY: self._key}
        self._folder.mkdir(parents=True, exist_ok=True)
        write_npz(self._path(self._saved), arrays, compress=False)
        self._saved += len(faces[0])

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:08d}.npz"

    def _usable(self) -> Iterator[Chunk]:
        start = 0
        while (path := self._path(start)).is_file():
            try:
                chunk = self._read(path)
            except UserError as error:
                log.warning("alignment is taken up before a chunk that cannot be used: %s", error.message)
                return
            if chunk is None:
                return
            yield chunk
            start += chunk.frame_count

    def _read(self, path: Path) -> Chunk | None:
        """A chunk; None where it is of something else. Raises UserError where it is damaged."""
        arrays = read_npz(path, "alignment", MAX_BYTES)
        if not np.array_equal(arrays.get(_KEY, ()), self._key):
            return None
        views = views_in(arrays, path)
        alike = all(
            (view.aligner, view.ids, view.image_size) == (self._aligner, self._ids, self._image_size) for view in views
        )
        if not alike or not views[0].frame_count or len({view.frame_count for view in views}) > 1:
            return None
        state = {name.removeprefix(_STATE): array for name, array in arrays.items() if name.startswith(_STATE)}
        return Chunk(views, state)


def remove_chunks(folder: Path) -> None:
    """Delete the chunks of all views, each in a folder of its own in ``folder``."""
    for path in folder.glob(f"*/{_NAMES}"):
        path.unlink(missing_ok=True)
    for view in (*folder.glob("*"), folder):
        with suppress(OSError):
            view.rmdir()
