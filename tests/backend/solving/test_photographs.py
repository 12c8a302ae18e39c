"""Stills of one made person, at moments and before lenses of their own, come back as that person's neutral head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.fitting import FitOptions, KnownCamera, View
from backend.fitting.posed import neutral_vertices, world_vertices
from backend.fitting.problem import focal_form
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.head_model.render import HeadRenderer, look_at_head
from backend.head_model.rigid import similarity_between
from backend.skin_matching.refine_views import ViewPictures
from backend.solving.photographs import SolvedPhotographs, about_the_head, solve_photographs
from tests.backend.fitting.observed import view_of
from tests.backend.skin_matching.rendered import LANDMARKS, marked_skin

SIDE = 300
SIDES = ((0.0, 0.0), (0.6, 0.1), (-0.55, -0.1), (0.25, 0.3))
FOCAL = SIDE * np.array([1.25, 2.25, 1.6, 3.25])
JAW, SMILE = 1, 2  # the stills with an open jaw and with a smile


@dataclass(frozen=True)
class Person:
    """A made person in ``SIDES``: 0.45 of the picture's height is face, whatever the lens."""

    @property
    def head(self) -> HeadModel:
        return load_head("open")

    @cached_property
    def neutral(self) -> NDArray[np.float32]:
        identity = np.zeros(len(self.head.shape_basis), np.float32)
        identity[:8] = (1.2, -1.0, 0.8, 1.0, -1.2, 0.6, 1.0, -0.8)
        return self.head.neutral(identity)

    @cached_property
    def expression(self) -> NDArray[np.float32]:
        """(4,K)."""
        names = self.head.expression_names
        found = np.zeros((len(SIDES), len(names)), np.float32)
        found[JAW, names.index("jawOpen")] = 0.5
        found[SMILE, [names.index("mouthSmileLeft"), names.index("mouthSmileRight")]] = 0.7
        return found

    @cached_property
    def cameras(self) -> NDArray[np.float64]:
        """(4,3,4) from head space: the longer the lens, the farther."""
        face = self.neutral[self.head.regions["face"]].mean(axis=0).tolist()
        return np.stack([look_at_head(f / SIDE / 2.4, *angles, face) for f, angles in zip(FOCAL, SIDES, strict=True)])

    @cached_property
    def posed(self) -> NDArray[np.float32]:
        gaze = np.zeros((len(SIDES), 2, 2), np.float32)
        return posed_vertices(self.head, self.neutral, self.expression, gaze)

    def pictures(self) -> list[NDArray[np.uint8]]:
        skin, head = marked_skin(), self.head
        with HeadRenderer((SIDE, SIDE)) as renderer:
            return [
                renderer.render(
                    vertices,
                    head.triangles,
                    texture=skin,
                    corner_uv=head.uv_vertices[head.uv_triangles],
                    focal_px=float(focal),
                    principal_point=(SIDE / 2, SIDE / 2),
                    world_to_camera=camera,
                )
                for vertices, focal, camera in zip(self.posed, FOCAL, self.cameras, strict=True)
            ]

    def stills(self, bias: float) -> list[View]:
        """As an aligner sees them: points off by ``bias`` pixels, smoothly over the face, otherwise in each still."""
        random, found = np.random.default_rng(8), []
        for index, (vertices, focal, camera) in enumerate(zip(self.posed, FOCAL, self.cameras, strict=True)):
            points = surface_positions(self.head.landmarks[LANDMARKS], self.head.triangles, vertices.astype(np.float64))
            there = points @ camera[:, :3].T + camera[:, 3]
            off = (points - points.mean(axis=0)) / points.std(axis=0) @ random.standard_normal((3, 2))
            mu = there[:, :2] / there[:, 2:] * focal + SIDE / 2 + bias * off / off.std()
            seen = np.ones((1, len(mu)), bool)
            sigma = np.full(seen.shape, max(bias, 0.3), np.float32)
            aligned = view_of(LANDMARKS, mu[None], sigma, seen, (SIDE, SIDE))
            found.append(View(aligned, KnownCamera(lens=f"still {index}")))
        return found

    def off_mm(self, solved: SolvedPhotographs) -> float:
        """Mean distance of the face's vertices from the person's, moved, turned and scaled onto them."""
        face = self.head.regions["face"]
        found, true = neutral_vertices(self.head, solved.fit)[face], self.neutral[face].astype(np.float64)
        motion = similarity_between(found.astype(np.float64), true)
        return float(np.linalg.norm(motion.apply(found) - true, axis=1).mean() * 1e3)


PERSON = Person()
OPTIONS = FitOptions(deform_region="face")


@pytest.fixture(scope="module")
def solved() -> SolvedPhotographs:
    pictures = PERSON.pictures()
    shown = ViewPictures(lambda view, _frame: pictures[view], [None] * len(pictures))
    return solve_photographs(PERSON.head, PERSON.stills(1.0), OPTIONS, pictures=shown, rounds=1)


@pytest.mark.slow
def test_the_skin_tells_the_person_and_each_lens(solved: SolvedPhotographs) -> None:
    assert solved.matched is not None and solved.matched.well_constrained and not solved.from_one_side
    assert solved.matched.frames.tolist() == [0] and (solved.matched.keypoints > 300).all()
    assert PERSON.off_mm(solved) < 1.0  # measured 0.77
    np.testing.assert_allclose([c.focal_px for c in solved.fit.cameras], FOCAL, rtol=0.25)  # measured 0.15


@pytest.mark.slow
def test_expressions_are_each_stills_own(solved: SolvedPhotographs) -> None:
    names = PERSON.head.expression_names
    jaw = solved.fit.expression[:, names.index("jawOpen")]
    smile = solved.fit.expression[:, names.index("mouthSmileLeft")]
    assert abs(jaw[JAW] - 0.5) < 0.12 and np.delete(jaw, JAW).max() < 0.2
    assert abs(smile[SMILE] - 0.7) < 0.25 and np.delete(smile, SMILE).max() < 0.1


@pytest.mark.slow
def test_the_head_stands_still_before_cameras_that_see_the_same(solved: SolvedPhotographs) -> None:
    taken = about_the_head(solved.fit)
    there = world_vertices(PERSON.head, taken, dtype=np.float64)
    before = world_vertices(PERSON.head, solved.fit, dtype=np.float64)
    np.testing.assert_allclose(there[0], neutral_vertices(PERSON.head, solved.fit) * (1, -1, -1), atol=1e-6)
    assert taken.tracked.tolist() == [False, True, True, True, True] and not taken.expression[0].any()
    for index, (now, then) in enumerate(zip(taken.cameras, solved.fit.cameras, strict=True)):
        seen = there[index + 1] @ now.world_to_camera[:, :3].T + now.world_to_camera[:, 3]
        np.testing.assert_allclose(seen, before[index] @ then.world_to_camera[:, :3].T, atol=1e-6)
        assert now.focal_px == then.focal_px


def test_one_still_is_a_head_and_can_be_stopped() -> None:
    one = PERSON.stills(1.0)[:1]
    alone = solve_photographs(PERSON.head, one, OPTIONS)
    assert alone.from_one_side and alone.matched is None and PERSON.off_mm(alone) < 3
    with pytest.raises(Cancelled):
        solve_photographs(PERSON.head, one, OPTIONS, should_cancel=lambda: True)


def test_lenses_that_differ_are_not_tied_to_each_other() -> None:
    stills = PERSON.stills(1.0)
    found = np.ones((4, 1), bool)
    apart, _ = focal_form(stills, OPTIONS, found)
    assert np.count_nonzero(apart - np.diag(np.diag(apart))) == 0
    same = [replace(still, camera=replace(still.camera, lens="a telephone")) for still in stills[:2]]
    tied, _ = focal_form([*same, *stills[2:]], OPTIONS, found)
    assert tied[0, 1] < 0 and not tied[0, 2:].any() and not tied[2, 3]
