"""Parts of takes solved again: pins are met, fade and leave no trace, masks are bridged, held values hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.fitting import FitOptions, FittedCamera, Solution
from backend.fitting.corrections import Corrections, HeldValue, Resolved, SurfacePin, TrackedTake, resolve, tracked_take
from backend.fitting.corrections.fade import fades
from backend.fitting.corrections.types import Unknown
from backend.head_model.model import SurfacePoints, posed_vertices, surface_positions
from backend.observations import ViewAlignment
from backend.synthesis.performance import Performance, seen_from
from tests.backend.fitting.made_takes import FOCAL_PX, SIDE, Seen, column, head, noise, performance, places, view

F64 = NDArray[np.float64]

MOUTH_CORNER, NOSE = 61, 1  # of MediaPipe's points
BLEND = 6
FRONT = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
SIDEWAYS = np.concatenate([Rotation.from_euler("Y", 35, degrees=True).as_matrix(), [[-0.25], [0.0], [0.1]]], axis=1)


def solution_of(shown: Performance, cameras: Sequence[F64] = (FRONT,)) -> Solution:
    """A performance as what a fit found."""
    return Solution(
        identity=shown.identity.astype(np.float64),
        deformation=np.zeros((head().vertex_count, 3)),
        expression=shown.expression.astype(np.float64),
        head_rotation=Rotation.from_rotvec(shown.head_rotation).as_matrix(),
        head_translation=shown.head_translation.copy(),
        gaze=shown.gaze.astype(np.float64),
        cameras=tuple(FittedCamera(FOCAL_PX, (SIDE / 2, SIDE / 2), matrix) for matrix in cameras),
    )


def tracked(seen: Sequence[ViewAlignment], found: Solution) -> TrackedTake:
    return tracked_take(head(), head(), seen, found, FitOptions())


def still_face(frames: int) -> tuple[TrackedTake, Performance]:
    """A face at rest whose head turns, tracked as it was seen, with an aligner's noise."""
    turn = np.stack([12 * np.sin(np.arange(frames) / 9), 5 * np.sin(np.arange(frames) / 6)], axis=1)
    shown = performance(frames, degrees=turn)
    return tracked([view(shown, Seen(noise=noise(frames, 0.5))).alignment], solution_of(shown)), shown


def pixels(found: Resolved | Solution, point: int, camera: F64 = FRONT) -> F64:
    """(T,2) where one of MediaPipe's points is in a view's picture."""
    shown, points = head(), head().landmarks["mediapipe478"]
    one = SurfacePoints(points.triangle[[point]], points.barycentric[[point]])
    vertices = posed_vertices(shown, shown.template, found.expression, found.gaze).astype(np.float64)
    local = surface_positions(one, shown.triangles, vertices)[:, 0]
    world = np.einsum("tij,tj->ti", found.head_rotation, local) + found.head_translation
    at = world @ camera[:, :3].T + camera[:, 3]
    return np.asarray(at[:, :2] / at[:, 2:] * FOCAL_PX + SIDE / 2)


def pin(point: int, frame: int, position: F64, seen_in: int = 0) -> SurfacePin:
    points = head().landmarks["mediapipe478"]
    weights = tuple(points.barycentric[point].tolist())
    return SurfacePin(seen_in, frame, int(points.triangle[point]), weights, tuple(position.tolist()), 0.5)


def test_a_pin_is_met_fades_and_leaves_all_else_as_it_was() -> None:
    take, shown = still_face(40)
    before = solution_of(shown)
    moved, at = np.array([-7.0, -5.0]), 20  # as in a smile
    asked = pixels(before, MOUTH_CORNER)[at] + moved
    found = resolve(take, Corrections(pins=(pin(MOUTH_CORNER, at, asked),)), blend=BLEND)
    after = pixels(found, MOUTH_CORNER)
    assert np.linalg.norm(after[at] - asked) < 1.0
    assert found.pins_before == pytest.approx([np.linalg.norm(moved)], abs=0.05)
    assert found.pins_after == pytest.approx([np.linalg.norm(after[at] - asked)], abs=0.05)
    size = np.linalg.norm(after - pixels(before, MOUTH_CORNER), axis=1)
    for side in (size[at::-1], size[at:]):
        fading = side[: BLEND + 2]
        # no pop: never by more than a third of it from frame to frame, and hardly anything is left past the blend
        assert (np.diff(fading) < 0.3).all() and np.abs(np.diff(fading)).max() < size[at] / 3
        assert side[BLEND + 2 :].max() < 0.5
    reached = 2 * BLEND
    assert found.moving.tolist() == [abs(t - at) <= reached for t in range(40)]
    start = resolve(take, Corrections())
    for name in ("expression", "head_rotation", "head_translation", "gaze"):
        np.testing.assert_array_equal(getattr(found, name)[~found.moving], getattr(start, name)[~found.moving])


def test_a_solve_is_called_off() -> None:
    take, shown = still_face(20)
    asked = pixels(solution_of(shown), NOSE)[10] + [4.0, 0.0]
    heard: list[float] = []

    def enough() -> bool:
        return len(heard) >= 2

    with pytest.raises(Cancelled):
        resolve(take, Corrections(pins=(pin(NOSE, 10, asked),)), on_progress=heard.append, should_cancel=enough)
    assert 0 < heard[0] < heard[1] < 1


def test_without_corrections_nothing_is_solved() -> None:
    take, shown = still_face(12)
    found = resolve(take, Corrections(), frames=(2, 8))
    assert not found.moving.any() and found.iterations == 0
    np.testing.assert_array_equal(found.expression, shown.expression)


def test_a_range_of_a_long_take_leaves_every_other_frame_bit_by_bit() -> None:
    take, shown = still_face(500)
    asked = pixels(solution_of(shown), NOSE)[220] + [4.0, 0.0]
    found = resolve(take, Corrections(pins=(pin(NOSE, 220, asked),)), frames=(200, 239), blend=8)
    assert np.flatnonzero(found.moving).tolist() == list(range(200, 240))
    untouched = resolve(take, Corrections())
    outside = ~found.moving
    for name in ("expression", "head_rotation", "head_translation", "gaze"):
        assert getattr(found, name)[outside].tobytes() == getattr(untouched, name)[outside].tobytes()
    # what the solve changes without being asked has faded at the borders: degrees of the head
    turned = Rotation.from_matrix(found.head_rotation) * Rotation.from_matrix(untouched.head_rotation).inv()
    assert np.rad2deg(turned.magnitude())[[200, 239]].max() < 0.02
    assert np.linalg.norm(pixels(found, NOSE)[220] - asked) < 1.0


def test_what_no_correction_reaches_stays_though_it_is_no_minimum() -> None:
    """A take that was not solved from what is seen now: solved again without a reason, all of it would move."""
    shown = performance(60, {"jawOpen": 0.3}, degrees=(8.0, 0.0))
    take = tracked([view(shown, Seen(noise=noise(1, 2.0))).alignment], solution_of(shown))
    asked = pixels(solution_of(shown), MOUTH_CORNER)[10] + [-4.0, -3.0]
    found = resolve(take, Corrections(pins=(pin(MOUTH_CORNER, 10, asked),)), frames=(0, 59), blend=4)
    assert found.moving.all() and np.linalg.norm(pixels(found, MOUTH_CORNER)[10] - asked) < 1.0
    far = slice(25, None)
    # 0.00002; 0.18 where the slope of the energy is left as it is
    assert np.abs(found.expression - shown.expression)[far].max() < 0.005
    # pixels: 0.0001; 0.15
    assert np.abs(pixels(found, NOSE) - pixels(solution_of(shown), NOSE))[far].max() < 0.02


def test_pins_of_one_point_at_several_frames_go_over_into_each_other() -> None:
    shares = fades([10, 14, 30], 6, 40)
    assert shares[[0, 1, 2], [10, 14, 30]].tolist() == [1, 1, 1]
    np.testing.assert_allclose(shares[:2, 10:15].sum(axis=0), 1)
    assert shares[1, 10] == 0 and shares[:, 22].max() == 0 and shares.sum(axis=0).max() <= 1 + 1e-12


def test_a_pin_in_the_second_view_is_met_there() -> None:
    frames = 24
    shown = performance(frames, {"jawOpen": 0.2})
    matrices = (FRONT, SIDEWAYS)
    seen = [view(seen_from(shown, matrix, FOCAL_PX), Seen(noise=noise(frames, 0.5))).alignment for matrix in matrices]
    found = solution_of(shown, matrices)
    take = tracked(seen, found)
    asked = pixels(found, MOUTH_CORNER, SIDEWAYS)[12] + [3.0, -5.0]
    solved = resolve(take, Corrections(pins=(pin(MOUTH_CORNER, 12, asked, seen_in=1),)), blend=BLEND)
    assert np.linalg.norm(pixels(solved, MOUTH_CORNER, SIDEWAYS)[12] - asked) < 1.0
    assert solved.error_px.shape == (2, frames, 478)


def test_a_held_value_is_kept_and_fades() -> None:
    take, shown = still_face(40)
    turned = (Rotation.from_rotvec(shown.head_rotation[20]) * Rotation.from_euler("Y", 6, degrees=True)).as_rotvec()
    held = (
        HeldValue(20, Unknown.EXPRESSION, (0.5,), column("jawOpen")),
        HeldValue(20, Unknown.GAZE, (0.2, -0.1), 1),
        HeldValue(20, Unknown.ROTATION, tuple(turned)),
        HeldValue(20, Unknown.TRANSLATION, tuple(shown.head_translation[20] + [0.01, 0.0, 0.0])),
    )
    found = resolve(take, Corrections(held=held), blend=BLEND)
    jaw = found.expression[:, column("jawOpen")]
    assert jaw[20] == pytest.approx(0.5, abs=0.01)
    assert 0.1 < jaw[17] < 0.45 and jaw[20 + BLEND + 1] < 0.05
    assert found.gaze[20, 1] == pytest.approx([0.2, -0.1], abs=0.005)
    off = Rotation.from_matrix(found.head_rotation[20]) * Rotation.from_rotvec(turned).inv()
    assert np.rad2deg(off.magnitude()) < 0.1
    assert found.head_translation[20] == pytest.approx(shown.head_translation[20] + [0.01, 0, 0], abs=2e-4)


def test_a_masked_hand_leaves_a_face_no_worse_than_a_gap_does() -> None:
    """A mouth seen 8 pixels aside and opening, under a hand that comes and goes, while the head turns."""
    frames, hand = 40, slice(14, 24)
    share = np.arange(frames) / frames
    turn = np.stack([20 * np.sin(2 * np.pi * share), 6 * np.sin(3 * np.pi * share)], axis=1)
    truth = performance(frames, {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4, "jawOpen": 0.2}, degrees=turn)
    lower = places()[:, 1] < np.quantile(places()[:, 1], 0.4)
    off = noise(frames, 0.5)
    off[hand, lower] += [8.0, 6.0]
    seen = view(truth, Seen(noise=off)).alignment
    wrong = solution_of(truth)
    wrong.expression[hand, column("jawOpen")] = 0.7
    wrong.head_translation[hand] += [0.004, 0.003, 0.0]
    take = tracked([seen], wrong)
    covered, everything = np.zeros((2, frames, 478), bool)
    covered[hand, lower] = everything[hand] = True
    masked, bridged = (resolve(take, Corrections(ignored=(points,)), blend=BLEND) for points in (covered, everything))

    def errors(found: Resolved) -> tuple[float, float]:
        """Degrees of the head, and the mouth's corner in pixels."""
        turned = Rotation.from_matrix(found.head_rotation) * Rotation.from_rotvec(truth.head_rotation).inv()
        corner = pixels(found, MOUTH_CORNER) - pixels(solution_of(truth), MOUTH_CORNER)
        return float(np.rad2deg(turned.magnitude())[hand].max()), float(np.linalg.norm(corner, axis=1)[hand].max())

    for own, of_gap in zip(errors(masked), errors(bridged), strict=True):
        assert own <= of_gap
    assert errors(masked)[1] < 1.5
    assert not bridged.tracked[hand].any() and masked.tracked.all()
    assert np.isnan(masked.error_px[0, hand][:, lower]).all()


def test_long_parts_are_solved_in_windows_that_meet() -> None:
    take, _ = still_face(60)
    held = tuple(HeldValue(t, Unknown.EXPRESSION, (0.3,), column("browInnerUp")) for t in (8, 30, 52))
    whole = resolve(take, Corrections(held=held), frames=(0, 59), blend=BLEND)
    parts = resolve(take, Corrections(held=held), frames=(0, 59), blend=BLEND, length=25)
    assert whole.moving.all() and parts.iterations > whole.iterations
    np.testing.assert_allclose(parts.expression, whole.expression, atol=0.02)
