"""A person whose smile and brows are not the head's: what a take shows of them becomes the actions'."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.fitting import FitOptions, FitResult, Fixed, KnownCamera, View, fit_take
from backend.fitting.personal import fit_personal, wants_personal
from backend.fitting.personal.actions import personal_corrections
from backend.fitting.posed import world_vertices
from backend.head_model.lids import closure_of
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.personal import with_corrections
from backend.solving import solve_take
from tests.backend.fitting.made_takes import FOCAL_PX, SIGMA_PX, column, head, noise, performance
from tests.backend.fitting.observed import changed, observed

FRAMES = 60
NOISE_PX = 0.5
SHOWN = ("mouthSmileLeft", "mouthSmileRight", "browInnerUp", "jawOpen", "eyeBlinkLeft", "eyeBlinkRight")


def wave(period: float, phase: float = 0.0) -> NDArray[np.float64]:
    return np.clip(np.sin(2 * np.pi * (np.arange(FRAMES) / period + phase)), 0, 1)


def own_actions() -> HeadModel:
    """A person whose smile goes aside more than up and least in the cheeks, and whose brows rise most in the middle."""
    plain = head()
    basis = plain.expression_basis.copy()
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        away = np.abs(plain.template[:, 0]) / 0.03
        own = basis[column(name)]
        basis[column(name)] = own * (0.6 + 0.7 * np.clip(away, 0, 1))[:, None] + [0, -0.2, 0] * np.abs(own[:, [1]])
    basis[column("browInnerUp")] *= 1.4 - 0.9 * np.clip(np.abs(plain.template[:, [0]]) / 0.04, 0, 1)
    return replace(plain, expression_basis=basis.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Made:
    person: HeadModel
    view: View
    fit: FitResult


@cache
def made(degrees: float = 20.0) -> Made:
    person = own_actions()
    yaw = degrees * np.sin(np.arange(FRAMES) / 9)
    smile = wave(20)
    truth = performance(
        FRAMES,
        {
            "mouthSmileLeft": smile,
            "mouthSmileRight": smile,
            "browInnerUp": 0.8 * wave(26, 0.3),
            "jawOpen": 0.5 * wave(15, 0.6),
            "eyeBlinkLeft": wave(30, 0.1) ** 6,
            "eyeBlinkRight": wave(30, 0.1) ** 6,
        },
        degrees=np.stack([yaw, 0.3 * yaw], axis=1),
    )
    seen = observed(person, truth, noise(FRAMES, NOISE_PX), SIGMA_PX)
    view = View(seen, KnownCamera(focal_px=FOCAL_PX))
    return Made(person, view, fit_take(head(), [view], FitOptions(personal_actions=False)))


@cache
def corrections() -> NDArray[np.float32]:
    return personal_corrections(head(), [made().view], FitOptions(), made().fit)


def at_points(shown: HeadModel, name: str) -> NDArray[np.floating]:
    """(478,3) metres."""
    return surface_positions(shown.landmarks["mediapipe478"], shown.triangles, shown.expression_basis[column(name)])


@pytest.mark.parametrize("name", ["mouthSmileLeft", "mouthSmileRight", "browInnerUp"])
def test_an_action_comes_nearer_to_what_it_is_on_this_face(name: str) -> None:
    person, plain = made().person, head()
    own = with_corrections(plain, corrections())
    before = np.linalg.norm(at_points(plain, name) - at_points(person, name), axis=1)
    after = np.linalg.norm(at_points(own, name) - at_points(person, name), axis=1)
    assert np.sqrt(np.mean(after**2)) < 0.8 * np.sqrt(np.mean(before**2))


def test_what_the_take_does_not_show_stays_the_heads() -> None:
    still = [name for name in head().expression_names if name not in SHOWN]
    active = np.square(made().fit.expression).mean(axis=0) > 0.05**2
    for name in still:
        assert active[column(name)] or not corrections()[column(name)].any()
    assert not corrections()[[column("eyeLookUpLeft"), column("mouthFrownLeft")]].any()
    rigid = head().regions["teeth"] | head().regions["left_eyeball"] | head().regions["tongue"]
    assert not corrections()[:, rigid].any()


def test_a_blink_closes_as_it_did() -> None:
    own = with_corrections(head(), corrections())
    blinks = [column("eyeBlinkLeft"), column("eyeBlinkRight")]
    assert corrections()[blinks].any()
    closing = closure_of(head(), own.expression_basis[blinks])
    assert closing is not None
    np.testing.assert_allclose(np.diag(closing), 1, atol=0.01)


def test_what_points_are_off_by_in_every_frame_is_no_actions() -> None:
    """Each point is off by about 2 % of the eyes' distance throughout, and the actions are never quite off."""
    plain, curve = head(), {"browInnerUp": 0.3 + 0.5 * wave(26), "jawOpen": 0.2 + 0.5 * wave(15)}
    smile = 0.3 + 0.4 * wave(20)
    truth = performance(FRAMES, curve | {"mouthSmileLeft": smile, "mouthSmileRight": smile})
    off = np.random.default_rng(5).normal(scale=3.0, size=(1, 478, 2))
    view = View(observed(plain, truth, off + noise(FRAMES, 0.3), SIGMA_PX), KnownCamera(focal_px=FOCAL_PX))
    fit = fit_take(plain, [view], FitOptions())
    found = personal_corrections(plain, [view], FitOptions(), fit)
    for name in ("browInnerUp", "jawOpen", "mouthSmileLeft"):
        size = np.linalg.norm(plain.expression_basis[column(name)], axis=1).max()
        assert np.linalg.norm(found[column(name)], axis=1).max() < 0.15 * size  # 0.2 to 0.5 were it not told apart


def test_the_solve_follows_the_picture_further_and_keeps_the_actions_in_its_result() -> None:
    known, view = made(), made().view
    solved = solve_take(head(), [view]).fit
    assert solved.action_corrections.shape == head().expression_basis.shape
    assert np.nanmean(solved.reprojection_error_px) < 0.93 * np.nanmean(known.fit.reprojection_error_px)
    # What is posed from the result is what was fitted: its points lie where the errors say.
    posed = world_vertices(head(), solved)
    points = surface_positions(head().landmarks["mediapipe478"], head().triangles, posed.astype(np.float64))
    image = points[..., :2] / points[..., 2:] * FOCAL_PX + 256
    off = np.linalg.norm(image - view.alignment.point_sets[0].mu, axis=-1)
    np.testing.assert_allclose(off[:, :468], solved.reprojection_error_px[0][:, :468], atol=0.02)


def test_a_take_solved_in_part_keeps_its_actions() -> None:
    solved = fit_personal(head(), [made().view], FitOptions(), made().fit)
    fixed = Fixed(frames=np.arange(FRAMES) < 40, identity=True, cameras=True)
    again = solve_take(head(), [made().view], FitOptions(), initial=solved, fixed=fixed).fit
    np.testing.assert_array_equal(again.action_corrections, solved.action_corrections)
    np.testing.assert_allclose(again.expression[:40], solved.expression[:40], atol=1e-6)
    np.testing.assert_allclose(again.expression[40:], solved.expression[40:], atol=0.02)


def test_few_frames_and_other_heads_expressions_have_none() -> None:
    view = made().view
    few = replace(view, alignment=view.alignment.at(np.arange(20)))
    unnamed = replace(head(), expression_names=tuple(f"expression_{k:03}" for k in range(len(head().expression_names))))
    assert wants_personal(head(), [view], FitOptions())
    assert not wants_personal(head(), [few], FitOptions())
    assert not wants_personal(head(), [view], FitOptions(personal_actions=False))
    assert not wants_personal(unnamed, [view], FitOptions())
    assert not solve_take(head(), [few]).fit.action_corrections.any()


def test_two_views_tell_an_action_together() -> None:
    """Each view sees half of the take."""
    seen = made().view.alignment
    (points,) = seen.point_sets
    first = np.zeros_like(points.valid)
    first[: FRAMES // 2] = True
    views = [replace(made().view, alignment=changed(seen, valid=points.valid & half)) for half in (first, ~first)]
    here = replace(views[0].camera, world_to_camera=np.eye(3, 4))
    found = personal_corrections(head(), [replace(view, camera=here) for view in views], FitOptions(), _two(made().fit))
    name = "mouthSmileLeft"
    own = with_corrections(head(), found)
    before = np.linalg.norm(at_points(head(), name) - at_points(made().person, name))
    assert np.linalg.norm(at_points(own, name) - at_points(made().person, name)) < 0.8 * before


def _two(fit: FitResult) -> FitResult:
    return replace(fit, cameras=fit.cameras * 2)
