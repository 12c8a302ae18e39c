"""What somebody else says of a person's neutral, in a job: asked before or after the take is aligned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.pipeline.kept_steps import KeptSteps
from backend.pipeline.neutral_prior import FacePicture, MicaNeutral, predicted_neutral, predictor_for
from backend.pipeline.shares import ALIGN_SHARE
from backend.progress import JobProgress, OnProgress, ShouldCancel

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView


class ToldNeutral:
    """What somebody else says of the person's neutral (E_MICA); nothing where ``path`` is empty."""

    def __init__(self, path: str, head: HeadModel, aligner: Aligner) -> None:
        """Raises UserError for a file that tells none, before anything dear is done."""
        self._head = head
        self._predictor = predictor_for(path, aligner) if path else None
        if isinstance(self._predictor, MicaNeutral):
            self._predictor.require(head)
        at_once = self._predictor is not None and not self._predictor.pictures_wanted
        self._neutral = predicted_neutral(self._predictor, head) if self._predictor and at_once else None

    def neutral(
        self, view: AlignedView, keep: KeptSteps, on_progress: OnProgress, should_cancel: ShouldCancel
    ) -> NDArray[np.float32] | None:
        """(V,3) metres, head space, from pictures of ``view`` where the predictor looks at some.

        Raises UserError as the predictor does, and Cancelled.
        """
        if self._predictor is None or self._neutral is not None:
            return self._neutral
        on_progress(JobProgress("predicting the neutral face", ALIGN_SHARE))
        pictures = face_pictures(view, self._predictor.pictures_wanted, should_cancel)
        return keep("neutral", partial(predicted_neutral, self._predictor, self._head, pictures))


def face_pictures(view: AlignedView, count: int, should_cancel: ShouldCancel) -> Iterator[FacePicture]:
    """At most ``count`` of a view's frames with a face, spread over the take, decoded as they are asked for.

    Raises Cancelled once ``should_cancel`` says so, before the next frame is decoded.
    """
    alignment = view.alignment
    seen = np.flatnonzero(alignment.found)
    chosen = seen[np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(int)]
    wanted = {int(alignment.numbers[t]): int(t) for t in chosen}
    for frame in view.opened.footage:
        if should_cancel():
            raise Cancelled
        t = wanted.pop(frame.number, None)
        if t is not None:
            yield FacePicture(frame.image, alignment.at(np.array([t])).point_sets)
        if not wanted:
            return
