"""From a job's options to those of the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.messages import TrackJob

if TYPE_CHECKING:
    from backend.fitting import FitOptions
    from backend.head_model.model import HeadModel


def fit_options(spec: TrackJob, head: HeadModel) -> FitOptions:
    """The fit's options for a job's take.

    Where there are several views, the nose may leave the identity basis unless the options say otherwise, as in
    seeds/001 §3.2.2: depth from one view tells too little of it.
    """
    from backend.fitting import FitOptions

    region = spec.options.deform_region
    if region is None:
        region = "nose" if len(spec.views) > 1 and "nose" in head.regions else ""
    return FitOptions(
        deform_region=region or None,
        metric_cameras=spec.metric_cameras,
        personal_actions=spec.options.personal_actions,
        solve_principal_point=spec.options.solve_principal_point,
    )
