"""The track and the report of a refined take."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.track.types import Track
from protocol.messages import RefineJob

if TYPE_CHECKING:
    from backend.fitting.corrections import Resolved
    from backend.head_model.model import HeadModel
    from backend.pipeline.refine_source import TakeSource

MET_PX = 1.0
"""A pin that ends farther from where it was put is said."""


def refined_track(track: Track, head: HeadModel, resolved: Resolved) -> Track:
    """The track with the frames that were solved again; all others, and all that they share, stay as they are.

    So do uncertainties: those of the solved frames are the tracked take's, however much of them is masked.
    """
    from scipy.spatial.transform import Rotation

    from backend.head_model.action_weights import solve_action_weights
    from backend.head_model.personal import with_corrections
    from backend.pipeline.result import mean_of_seen

    moved = resolved.moving
    if not moved.any():
        return track
    percent = 100 * resolved.error_px / resolved.inter_ocular_px[..., None]
    new: dict[str, NDArray[Any]] = {
        "expression": resolved.expression,
        "head_rotation": Rotation.from_matrix(resolved.head_rotation).as_rotvec(),
        "head_translation": resolved.head_translation,
        "gaze": resolved.gaze,
        "tracked": resolved.tracked,
        "reprojection_error_percent_iod": mean_of_seen(percent, (0, 2), resolved.tracked),
    }
    if track.action_names:
        person = with_corrections(head, track.action_corrections)
        actions = track.actions.copy()
        actions[moved] = solve_action_weights(
            person, resolved.expression[moved].astype(np.float32), resolved.gaze[moved].astype(np.float32)
        )
        new["actions"] = actions
    if np.isfinite(track.skin_error_percent_iod).any():  # of frames as they are now nobody has looked at the skin
        new["skin_error_percent_iod"] = np.full(len(moved), np.nan)
    changed: dict[str, Any] = {name: _put(getattr(track, name), moved, values) for name, values in new.items()}
    cameras = tuple(
        replace(
            camera,
            reprojection_error_percent_iod=_put(
                camera.reprojection_error_percent_iod, moved, mean_of_seen(percent[view], (1,))
            ),
        )
        for view, camera in enumerate(track.cameras)
    )
    return replace(track, cameras=cameras, **changed)


def _put(old: NDArray[Any], moved: NDArray[np.bool_], new: NDArray[Any]) -> NDArray[Any]:
    """``old`` with the frames ``moved (T,)`` of ``new``, in its own type."""
    values = old.copy()
    values[moved] = new[moved]
    return values


def refine_report(spec: RefineJob, take: TakeSource, track: Track, resolved: Resolved) -> dict[str, Any]:
    """The report of the tracked face with what the refine did; that of an earlier refine is left out."""
    said: list[str] = []
    pins = []
    for pin, before, after in zip(spec.pins, resolved.pins_before.tolist(), resolved.pins_after.tolist(), strict=True):
        pins.append(
            {
                "view": pin.view,
                "frame": pin.frame,
                "before_px": round(float(before), 3),
                "after_px": round(float(after), 3),
            }
        )
        if after > max(MET_PX, pin.sigma_px):
            said.append(
                f"The pin at frame {pin.frame} in “{pin.view}” is met to {after:.1f} pixels only: the head cannot "
                "reach it together with the other pins and keys."
            )
    earlier = take.report.get("refine", {}).get("warnings", [])
    warnings = [warning for warning in take.report.get("warnings", []) if warning not in earlier]
    return {
        **take.report,
        "frames_tracked": int(track.tracked.sum()),
        "warnings": [*warnings, *said],
        "refine": {
            "pins": pins,
            "masks": len(spec.masks),
            "keys": len(spec.keys),
            "frames": _ranges(track.frames[resolved.moving]),
            "frames_solved": int(resolved.moving.sum()),
            "fit_iterations": resolved.iterations,
            "warnings": said,
        },
    }


def _ranges(numbers: NDArray[np.int64]) -> list[list[int]]:
    """Ascending numbers as pairs of first and last."""
    parts = [[*part] for _, part in groupby(enumerate(numbers.tolist()), lambda one: one[1] - one[0])]
    return [[part[0][1], part[-1][1]] for part in parts]
