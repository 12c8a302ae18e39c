"""One way from views to a fit: alone, and with the pictures of several views."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import Cancelled
from backend.fitting import FitOptions, FitResult, View, fit_take
from backend.skin_matching.refine_views import ViewPictures
from backend.solving import solve_take
from backend.solving.solve import Step
from tests.backend.skin_matching.rendered import SIDE, Rig

pytestmark = pytest.mark.slow

RIG = Rig(((0.0, 0.0), (0.55, 0.1), (-0.5, -0.15)))
OPTIONS = FitOptions(identity_components=20)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return RIG.views(1.8)


def test_without_pictures_it_is_the_fit(views: list[View]) -> None:
    solved = solve_take(RIG.head, views, OPTIONS)
    fit = fit_take(RIG.head, views, OPTIONS)
    assert solved.matched is None
    for name in ("identity", "expression", "head_translation", "reprojection_error_px"):
        np.testing.assert_array_equal(getattr(solved.fit, name), getattr(fit, name))


def test_pictures_of_several_views_are_matched_after_the_fit(views: list[View]) -> None:
    steps: list[tuple[Step, float]] = []
    fitted: list[tuple[FitResult, int]] = []
    pictures = ViewPictures(lambda view, _frame: RIG.pictures[view], [None] * 3)
    solved = solve_take(
        RIG.head,
        views,
        OPTIONS,
        pictures=pictures,
        on_fitted=lambda fit: fitted.append((fit, len(steps))),
        on_progress=lambda step, fraction: steps.append((step, fraction)),
    )
    assert solved.matched is not None and solved.fit is solved.matched.fit
    ((joint, heard),) = fitted
    assert not np.array_equal(joint.identity, solved.fit.identity)
    kinds = [step for step, _ in steps]
    assert set(kinds[:heard]) == {Step.FITTING} and set(kinds[heard:]) == {Step.MATCHING}
    assert all(0 <= fraction <= 1 for _, fraction in steps)


def test_pictures_that_show_nothing_alike_leave_the_fit_as_it_is(views: list[View]) -> None:
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    solved = solve_take(RIG.head, views, OPTIONS, pictures=ViewPictures(lambda *_: grey, [None] * 3))
    np.testing.assert_array_equal(solved.fit.identity, fit_take(RIG.head, views, OPTIONS).identity)
    assert solved.matched is None


def test_one_view_has_nothing_to_match(views: list[View]) -> None:
    def picture(*_: object) -> None:
        pytest.fail("nobody asks for a picture")

    assert solve_take(RIG.head, views[:1], OPTIONS, pictures=ViewPictures(picture, [None])).matched is None


def test_what_the_fit_is_refused_for_stops_it_before_matching(views: list[View]) -> None:
    def refuse(_fit: FitResult) -> None:
        raise Cancelled

    pictures = ViewPictures(lambda *_: pytest.fail("nobody asks for a picture"), [None] * 3)
    with pytest.raises(Cancelled):
        solve_take(RIG.head, views, OPTIONS, pictures=pictures, on_fitted=refuse)
