"""A fitted take fitted again with the person's own actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.fitting.fit import fit_take
from backend.fitting.personal.actions import personal_corrections, tells_actions
from backend.fitting.types import FitOptions, FitResult, Fixed, View
from backend.head_model.model import HeadModel


def wants_personal(head: HeadModel, views: Sequence[View], options: FitOptions) -> bool:
    """True where ``fit_personal`` has something to do."""
    return options.personal_actions and not options.neutral and tells_actions(head, views)


def fit_personal(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    fit: FitResult,
    *,
    corrections: NDArray[np.float32] | None = None,
    neutral_prior: NDArray[np.float32] | None = None,
    fixed: Fixed | None = None,
    on_progress: Callable[[float, str], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """``fit`` of ``views``, which may be a draft, again with personal actions; ``fixed`` stays as it is there.

    ``corrections`` are ``personal_corrections`` of ``fit`` where they are known.

    Raises:
        Cancelled, ValueError: as ``fit_take`` does.
    """
    if corrections is None:
        corrections = personal_corrections(head, views, options, fit)
    return fit_take(
        head,
        views,
        options,
        neutral_prior=neutral_prior,
        initial=replace(fit, action_corrections=corrections),
        fixed=fixed,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
