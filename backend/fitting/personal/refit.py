"""A fitted take fitted again with the person's own actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from backend.fitting.fit import fit_take
from backend.fitting.personal.actions import personal_corrections, tells_actions
from backend.fitting.types import FitOptions, FitResult, Fixed, View
from backend.head_model.model import HeadModel


def fit_personal(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    fit: FitResult,
    *,
    on_progress: Callable[[float, str], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """``fit`` of ``views`` again with personal actions; ``fit`` itself where these cannot be told or do not help.

    Who it is and where the cameras are stays as it was found: only the actions' shapes and the frames change.

    Raises:
        Cancelled, ValueError: as ``fit_take`` does.
    """
    if not options.personal_actions or options.neutral or not tells_actions(head, views):
        return fit
    corrections = personal_corrections(head, views, options, fit)
    if not corrections.any():
        return fit
    again = fit_take(
        head,
        views,
        options,
        initial=replace(fit, action_corrections=corrections),
        fixed=Fixed(identity=True, cameras=True),
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    return again if np.nanmean(again.reprojection_error_px) < np.nanmean(fit.reprojection_error_px) else fit
