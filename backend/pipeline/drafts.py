"""Heads to show while the footage is still being aligned: quick fits of a few of the frames known so far."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import Cancelled
from backend.observations import AlignedFrame, ViewAlignment
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.fitting import FitOptions
    from backend.head_model.model import HeadModel
    from backend.pipeline.open_views import OpenView
    from backend.track.types import Track
    from protocol.messages import TrackJob

log = logging.getLogger(__name__)

FIRST = 8
"""Frames with a face before the first draft: 0.5 s of alignment on two cores, and their head is a face already."""
FRAMES = 16
"""Frames of a draft at most, spread over those known: 0.2 s on one core, of 64 known frames as of 448."""
FEWEST = 32
"""A take of fewer frames is solved before anybody has looked at a draft."""
ITERATIONS, TOLERANCE = 3, 0.05
"""Error of 8 frames of lp_d10: 1.14 % of the inter-ocular distance after three steps as after six."""
SHARE = 0.04
"""Of the time that the whole job will take: what drafts may cost it, the first aside."""
ALIGNING_IN_ALL = 0.55
"""Of a job's time, the part in which footage is aligned (lp_d10 and lp_d3 on two cores: 0.5 to 0.6)."""


class Drafts:
    """Takes the first view's frames as they are aligned, and gives a draft at each doubling of their number.

    What drafts cost is bounded (``SHARE``): one that would cost too much waits for the next doubling. ``on_draft`` gets
    tracks of ``FRAMES`` frames at most, between which Blender interpolates. A draft that fails is left out: the job
    itself meets what is wrong, and says so.
    """

    def __init__(
        self,
        spec: TrackJob,
        head: HeadModel,
        view: OpenView,
        aligner: Aligner,
        options: FitOptions,
        on_draft: Callable[[Track], None],
        should_cancel: ShouldCancel,
    ) -> None:
        self._spec, self._head, self._view, self._aligner = spec, head, view, aligner
        self._options = replace(
            options,
            deform_region=None,
            personal_actions=False,
            solve_principal_point=False,
            max_iterations=ITERATIONS,
            tolerance=TOLERANCE,
        )
        self._on_draft, self._should_cancel = on_draft, should_cancel
        self._seen: list[AlignedFrame] = []
        self._count = self._found = 0
        self._next = FIRST if view.footage.total >= FEWEST else 0
        self._started = time.perf_counter()
        self._spent = self._last = 0.0

    def go_on(self, frames: Sequence[AlignedFrame]) -> None:
        """Take the frames that an earlier run of the job has left, which are known at no cost; makes a draft of them.

        Raises Cancelled.
        """
        self._found = self._count = len(frames) - 1
        self._seen = [frame for frame in frames[:-1] if frame.alignment is not None]
        while self._next and self._next <= len(self._seen) // 2:
            self._next *= 2
        self.add(frames[-1])

    def add(self, frame: AlignedFrame) -> None:
        """Take the next frame; makes a draft where one is due. Raises Cancelled."""
        self._count += 1
        if frame.alignment is not None:
            self._seen.append(frame)
        if not self._next or len(self._seen) < self._next:
            return
        self._next *= 2
        if self._spent and self._spent + self._last > SHARE * self._expected():
            return
        began = time.perf_counter()
        try:
            self._on_draft(self._draft())
        except Cancelled:
            raise
        except Exception as error:  # whatever it is, a preview must not cost the job
            log.warning("there is no draft of %d frames: %s: %s", len(self._seen), type(error).__name__, error)
        self._last = time.perf_counter() - began
        self._spent += self._last

    def _expected(self) -> float:
        """Seconds that the whole job will take, by what alignment has taken so far."""
        aligning = time.perf_counter() - self._started - self._spent
        in_all, done = self._view.footage.total - self._found, self._count - self._found
        return aligning * max(in_all / done, 1.0) / ALIGNING_IN_ALL

    def _draft(self) -> Track:
        from backend.fitting import fit_take
        from backend.pipeline.align_views import AlignedView, views_to_fit
        from backend.pipeline.result import make_track

        alignment = self._alignment(spread(self._seen, FRAMES))
        view = AlignedView(self._view, alignment, np.arange(alignment.frame_count))
        fit = fit_take(
            self._head,
            views_to_fit([view], self._spec.options.focal_px),
            self._options,
            draft=True,
            should_cancel=self._should_cancel,
        )
        said = {
            "versions": {},
            "aligner": self._aligner.name,
            "seconds": {},
            "options": self._spec.options.to_plain(),
            "metric_cameras": self._spec.metric_cameras,
        }
        return make_track(self._head, [view], fit, said)

    def _alignment(self, frames: Sequence[AlignedFrame]) -> ViewAlignment:
        from backend.alignment.lids import with_lid_closure

        info = self._view.info
        stacked = ViewAlignment.stacked(
            frames,
            self._aligner.point_sets,
            aligner=self._aligner.name,
            image_size=(info.width, info.height),
            frame_rate=info.frame_rate,
        )
        return stacked if self._aligner.lids is None else with_lid_closure(stacked, self._aligner.lids)


def spread(frames: Sequence[AlignedFrame], count: int) -> list[AlignedFrame]:
    """At most ``count`` of the frames, evenly spread, the first and the last among them."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[index] for index in chosen]
