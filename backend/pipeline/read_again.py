"""A view's pictures read a second time, in the order of its frames: a matching that follows skin looks at all of them.

Few are held at once, however long the take is: they are decoded while the last one is being looked at.
"""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.footage.prefetch import prefetch

if TYPE_CHECKING:
    from backend.footage import FootageFrame
    from backend.pipeline.align_views import AlignedView

AHEAD = 3
"""Pictures that are decoded beforehand."""
REOPENS = 8
"""Frames of a video that are sooner decoded and left out than sought: opening it takes as long as about so many."""


class PicturesAgain:
    """A view's pictures by its frames; a context manager, which closes the file.

    Asking for frames in ascending order decodes each once; what is between two of them is passed over, or sought where
    decoding can begin nearer. Going back begins anew.
    """

    def __init__(self, view: AlignedView) -> None:
        self._view, self._numbers = view, view.footage_frames
        self._last = int(self._numbers.max(initial=-1))
        self._reopens = REOPENS if view.opened.info.kind == "video" else 0
        self._reading: Generator[FootageFrame, None, None] | None = None
        self._shown: FootageFrame | None = None
        self._next = 0  # the least number that reading on may give

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def at(self, frame: int) -> NDArray[np.uint8] | None:
        """The RGB picture (H,W,3) at a frame of the take; None where there is none, or none can be read any more."""
        number = int(self._numbers[frame])
        if number < 0:
            return None
        try:
            found = self._read(number)
        except UserError:  # it was read once; that it cannot be any more costs this frame's matches, not the take
            self._close()
            return None
        return None if found is None else found.image

    def _read(self, number: int) -> FootageFrame | None:
        if self._shown is not None and self._shown.number == number:
            return self._shown
        footage = self._view.opened.footage
        begins = footage.begins(number)
        if self._reading is None or number < self._next or begins > self._next + self._reopens:
            self._close()
            self._reading = prefetch(footage.part((number, self._last)), AHEAD)
        for found in self._reading:
            self._shown, self._next = found, found.number + 1
            if found.number >= number:
                break
        # a frame that could not be decoded is not among them, and the one behind it may be asked for next
        return self._shown if self._shown is not None and self._shown.number == number else None

    def _close(self) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading, self._shown, self._next = None, None, 0
