"""Who sits before the camera, from a few seconds of pictures: their offline solve, whose identity is then kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.head_model.model import HeadModel
from backend.live.person import Person
from backend.live.takes import Poses, track_of
from backend.observations import AlignedFrame, Alignment, ViewAlignment
from backend.progress import ShouldCancel, never
from backend.track.types import Track

if TYPE_CHECKING:
    from backend.fitting import FitResult

F64 = NDArray[np.float64]

SECONDS = 3.0
"""Of pictures that show the face. The person need not be still: the calmest frames are taken for rest."""
LEAST_PICTURES = 30
"""A slow camera's calibration takes longer: fewer hold no calm ones (``action_witness.LEAST_FRAMES`` is 24)."""
MOST_PICTURES = 180
"""A quick camera's are thinned out: the solve takes 40 ms for each."""
FITTED = 0.7
"""Of a solve's time: the fit of all, before that with the frames at rest."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The person, the take of the calibration's own pictures, and what was seen in them with its times (seconds)."""

    person: Person
    track: Track
    seen: list[tuple[Alignment, float]]


@dataclass
class Calibration:
    """Collects pictures until they are enough, or no more will come (``whole``)."""

    seconds: float = SECONDS
    frames: list[AlignedFrame] = field(default_factory=list)
    whole: bool = False
    _began: float | None = None
    _gone: float = 0.0
    _last: float = 0.0

    def add(self, seen: Alignment | None, number: int, time: float) -> None:
        """A picture; time without a face does not count."""
        if self._began is None:
            self._began = self._last = time
        if self.whole:
            return
        elapsed, self._last = time - self._last, time
        if seen is None:
            self._gone += elapsed
            return
        if not self.frames or time - self.frames[-1].time >= 0.999 * self.seconds / MOST_PICTURES:
            self.frames.append(AlignedFrame(number, time, float(number), seen))

    @property
    def fraction(self) -> float:
        """Of what is needed, 1 where that is there."""
        if self._began is None or self.whole:
            return float(self.whole)
        by_time = (self._last - self._began - self._gone) / self.seconds if self.seconds > 0 else 1.0
        return float(min(1.0, by_time, len(self.frames) / LEAST_PICTURES))

    def solve(
        self,
        head: HeadModel,
        image_size: tuple[int, int],
        source: str,
        *,
        on_progress: Callable[[float], None] | None = None,
        should_cancel: ShouldCancel = never,
    ) -> Calibrated:
        """Solve what was collected; takes some seconds. Personal actions are left out: of those that a person did not
        do in these seconds nothing is known.

        Raises UserError ``not_calibrated`` where too few pictures showed a face; ``Cancelled``.
        """
        from backend.alignment.landmarks.lid_points import mediapipe_lids
        from backend.alignment.lids import with_lid_closure
        from backend.fitting import FitOptions, View
        from backend.solving import solve_take
        from backend.solving.solve import Step

        if not self.frames:
            sentence = "The face was not seen, so nothing could be calibrated."
            raise UserError(ErrorCode.NOT_CALIBRATED, sentence, "Sit before the camera, in light, and calibrate again.")

        def tell(step: Step, fraction: float) -> None:
            if on_progress is not None:
                on_progress(FITTED * fraction if step is Step.FITTING else FITTED + (1 - FITTED) * fraction)

        fit = solve_take(
            head,
            [View(with_lid_closure(self._view(image_size), mediapipe_lids()))],
            FitOptions(personal_actions=False),
            on_progress=tell,
            should_cancel=should_cancel,
        ).fit
        person = _person(head, fit, image_size)
        seen = [(frame.alignment, frame.time) for frame in self.frames if frame.alignment is not None]
        return Calibrated(person, track_of(person, _poses(fit, self._times), source), seen)

    @property
    def _times(self) -> F64:
        return np.array([frame.time for frame in self.frames])

    def _view(self, image_size: tuple[int, int]) -> ViewAlignment:
        """What was collected as a view of a take."""
        first = self.frames[0].alignment
        assert first is not None
        return ViewAlignment.stacked(
            self.frames,
            [own.id for own in first.point_sets],
            aligner=first.point_sets[0].id.made_by,
            image_size=image_size,
            frame_rate=30.0,
        ).at_times(self._times)


def _person(head: HeadModel, fit: FitResult, image_size: tuple[int, int]) -> Person:
    camera = fit.cameras[0]
    return Person(
        head=head,
        identity=fit.identity.astype(np.float32),
        focal_px=camera.focal_px,
        principal_point=camera.principal_point,
        image_size=image_size,
        deformation=np.zeros((0, 3), np.float32),
        action_corrections=fit.action_corrections,
    )


def _poses(fit: FitResult, times: F64) -> Poses:
    return Poses(
        times=times,
        expression=fit.expression,
        rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        translation=fit.head_translation,
        gaze=fit.gaze,
        seen=fit.tracked,
        error_percent=np.nanmean(fit.reprojection_error_percent_iod, axis=(0, 2)),
        more={"uncertainty_mm": fit.uncertainty_mm.astype(np.float32)},
    )
