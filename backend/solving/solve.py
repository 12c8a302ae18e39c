"""A take solved: the joint fit, and the fit with the skin matched, between views or in time, by their pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitOptions, FitResult, Fixed, Solution, View, fit_take
from backend.fitting.learned_neutral import learned_neutral
from backend.fitting.neutral import AtRest, may_rest, shape_at_rest
from backend.fitting.personal import fit_personal, personal_corrections, wants_personal
from backend.head_model.model import HeadModel
from backend.progress import ShouldCancel, never
from backend.skin_matching.in_time import SKIN, TimeMatchedFit, TimeMatching, refine_in_time, with_skin
from backend.skin_matching.refine_views import MatchedFit, ViewPictures, refine
from backend.solving.skin_error import skin_error_px

T = TypeVar("T")


class Keep(Protocol):
    """Keeps what dear parts of a solve find."""

    def __call__(self, name: str, make: Callable[[], T], /) -> T:
        """What ``make`` gives, or gave when this part was done before."""
        ...


def kept_nowhere(_name: str, make: Callable[[], T]) -> T:
    """A ``Keep`` that keeps nothing."""
    return make()


class Step(StrEnum):
    """The steps of a solve, one after the other."""

    FITTING = "fitting the head"
    MATCHING = "matching the skin between the views"
    FOLLOWING = "following the skin from frame to frame"
    PERSONAL = "making the head this person's"


@dataclass(frozen=True, eq=False)
class SolvedTake:
    """``fit`` is the one to go on with; ``matched`` the skin's between views and ``followed`` that of one view in time,
    before personal actions, None where it was not asked for or found nothing; ``at_rest`` the frames that were taken
    for neutral, None where there are none. ``skin_error_px (T,)`` is by how much ``fit`` misses the followed skin (RMS,
    NaN where a frame shows none), None where there is none.
    """

    fit: FitResult
    matched: MatchedFit | None = None
    at_rest: AtRest | None = None
    followed: TimeMatchedFit | None = None
    skin_error_px: NDArray[np.float64] | None = None


def solve_take(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions | None = None,
    *,
    pictures: ViewPictures | None = None,
    time_matching: TimeMatching | None = None,
    neutral_prior: NDArray[np.float32] | None = None,
    initial: Solution | None = None,
    fixed: Fixed | None = None,
    on_fitted: Callable[[FitResult], None] | None = None,
    on_partial: Callable[[FitResult], None] | None = None,
    on_progress: Callable[[Step, float], None] | None = None,
    should_cancel: ShouldCancel = never,
    keep: Keep = kept_nowhere,
) -> SolvedTake:
    """Fit a take, with expressions of zero in the frames at rest, match the skin where there are ``pictures``, between
    several views or from frame to frame of one, and make the actions this person's where the options say so and the
    take tells them.

    ``neutral_prior``, ``initial`` and ``fixed`` are those of ``fit_take``; matching starts from the fit, in time as
    ``time_matching`` says. ``on_fitted``
    gets the joint fit before matching, and may raise; ``on_partial`` gets the fit after each step that another follows,
    to be shown meanwhile; ``on_progress`` gets the fraction of each step. ``keep`` may know what a part gave before.

    Where there is no ``neutral_prior``, what the points tell of the person (``learned_neutral``) takes its place.

    Raises:
        UserError, Cancelled, ValueError: as ``fit_take`` does.
    """
    neutral_prior, options = _with_neutral(head, views, options or FitOptions(), neutral_prior)

    def hears(step: Step) -> Callable[[float], None]:
        return lambda fraction: on_progress(step, fraction) if on_progress else None

    # a take that is solved in part keeps the actions that it has
    personal = initial is None and wants_personal(head, views, options)
    rests = initial is None and may_rest(views, options)
    draft = (personal or rests) and len(views) == 1 and pictures is None  # skin is laid out by a whole fit
    fitting = hears(Step.FITTING)
    fit = keep(
        "fit",
        partial(
            fit_take,
            head,
            views,
            options,
            neutral_prior=neutral_prior,
            initial=initial,
            fixed=fixed,
            draft=draft,
            on_progress=lambda fraction, _words: fitting(fraction),
            should_cancel=should_cancel,
        ),
    )
    if on_fitted is not None:
        on_fitted(fit)

    def show(fit: FitResult, *, further: bool) -> None:
        if on_partial is not None and further:
            on_partial(fit)

    show(fit, further=personal or rests or pictures is not None)
    at_rest: AtRest | None = None
    if rests:
        fit, at_rest = keep("at_rest", partial(_at_rest, head, views, options, fit, neutral_prior))
        options = options if at_rest is None else replace(options, neutral_frames=at_rest.numbers)
        show(fit, further=at_rest is not None)
    shaped = Fixed(identity=at_rest is not None or len(views) > 1, cameras=len(views) > 1)
    matched: MatchedFit | None = None
    followed: TimeMatchedFit | None = None
    if pictures is not None:
        seen = head, views, fit, options, pictures
        told: dict[str, Any] = {"neutral_prior": neutral_prior, "should_cancel": should_cancel}
        if len(views) > 1:
            told |= {"on_progress": hears(Step.MATCHING)}
            matched = keep("matched", _from_0_to_1(hears(Step.MATCHING), partial(refine, *seen, **told)))
        else:
            told |= {"fixed": shaped, "how": time_matching, "on_progress": hears(Step.FOLLOWING)}
            followed = keep("followed", _from_0_to_1(hears(Step.FOLLOWING), partial(refine_in_time, *seen, **told)))
            # what comes after must not leave the skin again
            if followed is not None:
                views, shaped = [with_skin(head, views[0], followed.skin)], Fixed(identity=True, cameras=True)
        found = matched or followed
        fit = fit if found is None else found.fit
        show(fit, further=personal and found is not None)
    again: dict[str, Any] = {"neutral_prior": neutral_prior, "fixed": shaped, "should_cancel": should_cancel}
    refitting = hears(Step.PERSONAL)
    again["on_progress"] = lambda fraction, _words: refitting(fraction)
    if personal:
        corrections = keep("corrections", partial(personal_corrections, head, views, options, fit))
        again["corrections"] = corrections
        fit = keep("personal", partial(fit_personal, head, views, options, fit, **again))
    elif (draft or at_rest is not None) and matched is None and followed is None:
        fit = keep("again", partial(fit_take, head, views, options, initial=fit, **again))
    if followed is None:
        return SolvedTake(fit, matched, at_rest)
    return SolvedTake(
        fit.without_points(SKIN.made_by), None, at_rest, followed, skin_error_px(head, fit, followed.skin)
    )


def _from_0_to_1(hears: Callable[[float], None], make: Callable[[], T]) -> Callable[[], T]:
    """``make``, whose beginning and end are told: whoever hears of it may take the time."""

    def whole() -> T:
        hears(0.0)
        made = make()
        hears(1.0)
        return made

    return whole


def _at_rest(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    fit: FitResult,
    neutral_prior: NDArray[np.float32] | None,
) -> tuple[FitResult, AtRest | None]:
    shaped, _, at_rest = shape_at_rest(head, views, options, fit, neutral_prior)
    return shaped, at_rest


def _with_neutral(
    head: HeadModel, views: Sequence[View], options: FitOptions, neutral_prior: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32] | None, FitOptions]:
    """What is told of the person's neutral: by ``neutral_prior``, else by the points, with a weight of its own."""
    weight = options.weights.learned_neutral
    told = learned_neutral(head, [view.alignment for view in views]) if weight and neutral_prior is None else None
    if told is None:
        return neutral_prior, options
    return told, replace(options, weights=replace(options.weights, neutral_prior=weight))
