"""Several cameras before rendered people: as the scan is measured, but on people of either split, and of any number.

What several cameras are worth, and the constants of skin matching, are chosen on the rigs of ``dev``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from backend.evaluation.benchmark import RenderedRig, RigSpec, benchmark_head, render_rig
from backend.evaluation.measure import LazyTruth
from backend.evaluation.mesh_landmarks import landmarks_camera
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7
from backend.evaluation.real_data import Task
from backend.evaluation.rig import Rig, TrueFace, joint_record
from backend.evaluation.trackers.flowface import SKIN_MATCHED
from backend.evaluation.trackers.types import Tracker, ViewsTracker

COMPARED = ("δ_d face", f"δ_d face{SKIN_MATCHED}")
"""The ways to look at several views that are measured on rigs, as all of them would take an hour."""


def true_rig(rendered: RenderedRig) -> Rig:
    """The truth of a rendered rig; raises UserError ``file_missing`` or ``bad_file``."""
    mesh = LazyTruth(rendered.truth).shape()
    keypoints = landmarks_camera(mesh)[0, list(KEYPOINTS7)]
    face = TrueFace(mesh.vertices[0, mesh.regions["face"]].astype(np.float64), keypoints)
    return Rig(face, rendered.stills, rendered.world_to_camera, np.full(len(rendered.stills), rendered.focal_px))


@dataclass(frozen=True)
class RenderedRigs:
    """The rigs ``specs``, rendered where they are asked for; ``ict_path`` and ``cache`` as in ``render_sequences``."""

    specs: Sequence[RigSpec]
    ict_path: Path
    cache: Path | None = None

    def tasks(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        """Keys, and the work that makes records, of trackers that can look at several views; see ``COMPARED``."""
        for tracker in trackers:
            if isinstance(tracker, ViewsTracker):
                variants = [name for name in tracker.variants if name in COMPARED]
                for spec, variant in product(self.specs, variants):
                    yield ("rigs", tracker.name, spec.name, variant), partial(self.record, tracker, spec, variant)

    def record(self, tracker: ViewsTracker, spec: RigSpec, variant: str) -> dict[str, Any]:
        """What a tracker makes of a rig; see ``joint_record``. Raises UserError as ``render_rig`` does."""
        about = {"rig": spec.name, "people": spec.people, "person": spec.person, "cameras": spec.cameras}
        rig = true_rig(render_rig(spec, benchmark_head(spec.people, self.ict_path), self.cache))
        return about | joint_record(tracker, rig, variant)
