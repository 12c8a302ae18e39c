"""A rendered take whose aligner errs anew in every frame, before and after its skin was followed."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.fitting import FitOptions, FitResult, Fixed, View, fit_take
from backend.fitting.posed import world_vertices
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices
from backend.head_model.posed import PosedHead
from backend.head_model.render import HeadRenderer
from backend.skin_matching.choose_keypoints import SIDES
from backend.skin_matching.in_time import TimeMatchedFit, TimeMatching, refine_in_time
from backend.skin_matching.lay_out import TakeLayout
from backend.skin_matching.refine_views import ViewPictures
from backend.skin_matching.unwrap import unwrap
from backend.synthesis.performance import FACING_CAMERA, Performance
from tests.backend.fitting.observed import observed
from tests.backend.skin_matching.rendered import FOCAL, SIDE, marked_skin

F64 = NDArray[np.float64]
FRAMES = 10
ERROR = 2.0
"""Pixels by which the aligner errs, smoothly over the face, and another way in every frame."""
CENTRE = np.array([SIDE / 2, SIDE / 2])


@dataclass(frozen=True)
class Take:
    """A head that turns and opens its mouth, in marked skin."""

    @property
    def head(self) -> HeadModel:
        return load_head("open")

    @cached_property
    def truth(self) -> Performance:
        head, beat = self.head, np.linspace(0, 2 * np.pi, FRAMES)
        expression = np.zeros((FRAMES, len(head.expression_names)), np.float32)
        for name, amount in (("jawOpen", 0.25), ("mouthSmileLeft", 0.4), ("browInnerUp", 0.5)):
            expression[:, head.expression_names.index(name)] = amount * (1 - np.cos(beat)) / 2
        turn = Rotation.from_euler("YX", np.column_stack([0.15 * np.sin(beat), 0.06 * np.cos(beat)]))
        return Performance(
            identity=np.zeros(len(head.shape_basis), np.float32),
            expression=expression,
            head_rotation=(FACING_CAMERA * turn).as_rotvec(),
            head_translation=np.column_stack([0.01 * np.sin(beat), 0 * beat, 0.8 + 0 * beat]),
            gaze=np.zeros((FRAMES, 2, 2), np.float32),
            focal_px=np.full(FRAMES, FOCAL),
            principal_point=CENTRE,
            image_size=(SIDE, SIDE),
            frame_rate=30.0,
        )

    @cached_property
    def vertices(self) -> F64:
        """(T,V,3) in camera space."""
        truth = self.truth
        posed = posed_vertices(self.head, self.head.neutral(truth.identity), truth.expression, truth.gaze)
        turn = Rotation.from_rotvec(truth.head_rotation).as_matrix()
        return np.asarray(posed @ turn.transpose(0, 2, 1) + truth.head_translation[:, None])

    @cached_property
    def pictures(self) -> list[NDArray[np.uint8]]:
        head, skin = self.head, marked_skin()
        with HeadRenderer((SIDE, SIDE)) as renderer:
            return [
                renderer.render(
                    vertices.astype(np.float32),
                    head.triangles,
                    texture=skin,
                    corner_uv=head.uv_vertices[head.uv_triangles],
                    focal_px=FOCAL,
                    principal_point=(SIDE / 2, SIDE / 2),
                    world_to_camera=np.eye(3, 4),
                )
                for vertices in self.vertices
            ]

    @cached_property
    def view(self) -> View:
        random = np.random.default_rng(5)
        seen = observed(self.head, self.truth, np.zeros((1, 478, 2)), ERROR)
        mu = seen.point_sets[0].mu.astype(np.float64)
        place = (mu - mu.mean(axis=1, keepdims=True)) / mu.std(axis=1, keepdims=True)
        bend = np.einsum("tnc,tcd->tnd", place, random.standard_normal((FRAMES, 2, 2)))
        off = bend + random.standard_normal((FRAMES, 1, 2))
        wrong = (mu + ERROR * off / off.std()).astype(np.float32)
        return View(replace(seen, point_sets=(replace(seen.point_sets[0], mu=wrong),)))

    @cached_property
    def fit(self) -> FitResult:
        return fit_take(self.head, [self.view], FitOptions())

    def occluded(self) -> list[NDArray[np.uint8]]:
        """A patterned disc passes over the face in the middle frames."""
        random = np.random.default_rng(9)
        cloth = cv2.resize(random.integers(0, 255, (90, 90, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        shown = []
        for t, picture in enumerate(self.pictures):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            if 2 <= t <= 7:
                cv2.circle(mask, self.disc(t), RADIUS, 255, -1)
            moved = np.roll(cloth, 12 * t, axis=1)
            shown.append(np.where(mask[..., None] > 0, moved, picture))
        return shown

    def disc(self, t: int) -> tuple[int, int]:
        return SIDE // 2 - 66 + 12 * t, SIDE // 2 + 20

    def error_px(self, fit: FitResult) -> float:
        """By how much the face's motion in the picture is wrong (RMS), what is wrong in all frames aside."""
        face = self.head.regions["face"]

        def pixels(vertices: F64) -> F64:
            return vertices[:, face, :2] / vertices[:, face, 2:] * FOCAL

        camera = fit.cameras[0].world_to_camera
        found = world_vertices(self.head, fit) @ camera[:, :3].T + camera[:, 3]
        off = found[:, face, :2] / found[:, face, 2:] * fit.cameras[0].focal_px - pixels(self.vertices)
        return float(np.sqrt(np.square(off - off.mean(axis=0)).sum(axis=2).mean()))


RADIUS = 45
TAKE = Take()


def refined(pictures: list[NDArray[np.uint8]], rounds: int, fixed: Fixed | None = None) -> TimeMatchedFit:
    shown, how = ViewPictures(lambda _view, frame: pictures[frame], [None]), TimeMatching(rounds=rounds)
    found = refine_in_time(TAKE.head, [TAKE.view], TAKE.fit, FitOptions(), shown, fixed=fixed, how=how)
    assert found is not None
    return found


def test_the_face_moves_as_its_skin_does() -> None:
    found = refined(TAKE.pictures, 2)
    assert TAKE.error_px(TAKE.fit) > 0.6
    assert TAKE.error_px(found.fit) < 0.5 * TAKE.error_px(TAKE.fit)
    assert (found.keypoints > 200).all()
    assert np.nanmean(found.residual_px) < 0.6 * np.nanmean(found.before_px)
    assert found.fit.points == TAKE.fit.points, "it speaks of the aligner's points alone"


def test_what_passes_over_the_face_does_not_pull_it_and_a_shape_at_rest_stays() -> None:
    found = refined(TAKE.occluded(), 1, Fixed(identity=True))
    np.testing.assert_array_equal(found.fit.identity, TAKE.fit.identity)
    assert TAKE.error_px(found.fit) < 0.6 * TAKE.error_px(TAKE.fit)
    for t in range(2, 8):
        inside = np.linalg.norm(found.skin.mu[t] - TAKE.disc(t), axis=1) < RADIUS - 10
        assert (inside & found.skin.valid[t]).sum() < 0.1 * found.skin.valid[t].sum()


def test_few_pictures_are_held_at_once_and_it_can_be_stopped() -> None:
    handed: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    def picture(_view: int, frame: int) -> NDArray[np.uint8]:
        nonlocal most
        most = max(most, sum(one() is not None for one in handed))
        if len(handed) > 2 * FRAMES - 1:
            raise Cancelled
        shown = TAKE.pictures[frame].copy()
        handed.append(weakref.ref(shown))
        return shown

    with pytest.raises(Cancelled):
        refine_in_time(TAKE.head, [TAKE.view], TAKE.fit, FitOptions(), ViewPictures(picture, [None]))
    assert most <= 2 and max(SIDES) <= 512


def test_one_picture_or_several_views_are_no_take() -> None:
    one = replace(TAKE.view, alignment=TAKE.view.alignment.at(np.array([0])))
    shown = ViewPictures(lambda _view, frame: TAKE.pictures[frame], [None, None])
    for views in ([one], [TAKE.view, TAKE.view]):
        assert refine_in_time(TAKE.head, views, TAKE.fit, FitOptions(), shown) is None


def test_the_coarse_layout_is_where_every_texel_is() -> None:
    side = SIDES[0]
    layout = TakeLayout(TAKE.head, side)
    laid = layout.lay_out(TAKE.pictures[3], layout.places(TAKE.fit, np.array([3]))[0])
    camera = TAKE.fit.cameras[0]
    there = world_vertices(TAKE.head, TAKE.fit, np.array([3]))[0] @ camera.world_to_camera[:, :3].T
    posed = PosedHead(there + camera.world_to_camera[:, 3], camera.focal_px, camera.principal_point)
    whole = unwrap(TAKE.head, side, cv2.cvtColor(TAKE.pictures[3], cv2.COLOR_RGB2GRAY), posed)
    rows, columns = np.nonzero(whole.facing > 0.5)
    at = np.column_stack([columns, rows]) + 0.5
    both = laid.facing(at) > 0.5
    assert both.mean() > 0.85
    missed = np.linalg.norm(laid.pixels(at) - whole.position[rows, columns], axis=1)[both]
    assert np.median(missed) < 0.2 and np.percentile(missed, 95) < 1.5
    assert np.corrcoef(laid.grey[rows, columns][both], whole.grey[rows, columns][both])[0, 1] > 0.9
