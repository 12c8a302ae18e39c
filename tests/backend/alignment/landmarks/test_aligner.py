from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.footage import read_image
from backend.observations import Alignment, FaceBox

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def found(aligner: LandmarkAligner, finder: BlazeFaceFinder, portrait: Picture) -> Alignment:
    (alignment,) = aligner.align([portrait], finder.find(portrait)[:1])
    assert alignment is not None
    return alignment


def iod(mu: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(mu[263] - mu[33]))


def aligned(aligner: LandmarkAligner, image: Picture, box: FaceBox) -> Alignment:
    (alignment,) = aligner.align([image], [box])
    assert alignment is not None
    return alignment


def align(aligner: LandmarkAligner, image: Picture, box: FaceBox) -> NDArray[np.float32]:
    return aligned(aligner, image, box).mu


def test_what_an_alignment_holds(found: Alignment, portrait: Picture) -> None:
    assert found.mu.shape == (478, 2)
    assert found.mu.dtype == found.sigma.dtype == np.float32
    assert found.valid.all()
    assert (found.sigma > 0).all()
    assert found.box.score > 0.9
    assert ((found.mu > 0) & (found.mu < portrait.shape[1])).all()
    # The subject's left eye is at the image's right; eyes above the mouth.
    assert found.mu[263, 0] > found.mu[33, 0]
    assert found.mu[13, 1] > found.mu[1, 1] > found.mu[168, 1]


def test_every_point_has_its_own_uncertainty(found: Alignment) -> None:
    usual = load_point_sigma().sigma_fraction  # of a frontal face
    assert np.corrcoef(found.sigma, usual)[0, 1] > 0.9
    assert np.ptp(found.sigma) > 0.8 * np.ptp(usual) * iod(found.mu)


def test_what_hides_a_face_makes_its_points_unsure(
    aligner: LandmarkAligner, portrait: Picture, found: Alignment
) -> None:
    """A band over the mouth, and the same picture blurred by a tenth of the inter-ocular distance."""
    covered = portrait.copy()
    low, high = found.mu[[61, 291]].min(axis=0).astype(int), found.mu[[61, 291]].max(axis=0).astype(int)
    covered[low[1] - 12 : high[1] + 30, low[0] - 10 : low[0] + 55] = (70, 90, 60)
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 0.1 * iod(found.mu)), np.uint8)
    beside = aligned(aligner, covered, found.box).sigma / found.sigma
    assert beside[[0, 13, 14, 17]].mean() > 1.1, "the lips"  # 1.26
    assert beside[[33, 133, 105]].mean() < 1.05, "an eye and a brow"  # 0.98
    assert np.median(aligned(aligner, blurred, found.box).sigma / found.sigma) > 1.15  # 1.33


def test_an_answer_depends_on_image_and_box_only(aligner: LandmarkAligner, found: Alignment, portrait: Picture) -> None:
    first = align(aligner, portrait, found.box)
    aligner.align([np.ascontiguousarray(portrait[::-1, ::-1])], [FaceBox(200, 180, 160, 190, roll=np.pi)])
    np.testing.assert_array_equal(align(aligner, portrait, found.box), first)


def test_many_pictures_are_answered_as_each_alone(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    boxes: list[FaceBox | None] = [finder.find(portrait)[0] for portrait in portraits[:5]]
    boxes[2] = None
    for one, box, alone in zip(aligner.align(portraits[:5], boxes), boxes, portraits, strict=False):
        (expected,) = aligner.align([alone], [box])
        if one is None or expected is None:
            assert one is expected is box
            continue
        np.testing.assert_array_equal(one.mu, expected.mu)
        assert one.box == expected.box


def test_two_aligners_work_side_by_side(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    boxes = [finder.find(portrait)[0] for portrait in portraits]
    other = LandmarkAligner()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(one.align, portraits, boxes) for one in (aligner, other)]
        for one, two in zip(*(future.result() for future in both), strict=True):
            assert one is not None
            assert two is not None
            np.testing.assert_array_equal(one.mu, two.mu)
    other.close()


def test_a_detectors_box_and_the_answers_own_lead_to_one_answer(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    for portrait in portraits:
        first = aligner.align([portrait], finder.find(portrait)[:1])[0]
        assert first is not None
        again = align(aligner, portrait, first.box)
        assert np.median(np.linalg.norm(again - first.mu, axis=1)) < 0.006 * iod(again)


def test_one_look_without_the_mirror_image_leans_to_neither_side(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    table, pairs = load_point_sigma(), LandmarkAligner()
    sizes: list[float] = []
    for sigma in (table, replace(table, lean=np.zeros_like(table.lean))):
        alone, apart = LandmarkAligner(sigma, mirrored=False), []
        for portrait in portraits:
            box = aligned(aligner, portrait, finder.find(portrait)[0]).box
            both = align(pairs, portrait, box)
            apart.append((align(alone, portrait, box) - both) / iod(both))
        alone.close()
        sizes.append(float(np.abs(np.median(apart, axis=(0, 1))[0])))
    pairs.close()
    assert sizes[0] < 0.6 * sizes[1]


def test_points_are_measured_from_the_image_corner(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    """Tripling a picture triples corner-based coordinates; centre-based ones would come out a third of a pixel off."""
    differences = []
    for portrait in portraits:
        base = align(aligner, portrait, finder.find(portrait)[0])
        tripled = np.asarray(cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR), np.uint8)
        low, size = 3 * base.min(axis=0), 3 * np.ptp(base, axis=0)
        thrice = align(aligner, tripled, FaceBox(*map(float, (*low, *size))))
        differences.append((thrice / 3 - align(aligner, portrait, FaceBox(*map(float, (*low / 3, *size / 3))))).mean(0))
    np.testing.assert_allclose(np.mean(differences, axis=0), 0, atol=0.15)


def test_points_move_with_the_picture(aligner: LandmarkAligner, found: Alignment, portrait: Picture) -> None:
    moved = cv2.warpAffine(portrait, np.float32([[1, 0, 17], [0, 1, -9]]), portrait.shape[:2], borderMode=1)
    box = FaceBox(found.box.left + 17, found.box.top - 9, found.box.width, found.box.height, 1, found.box.roll)
    shifted = align(aligner, np.asarray(moved, np.uint8), box)
    base = align(aligner, portrait, found.box)
    np.testing.assert_allclose(shifted - (17, -9), base, atol=0.02 * iod(base))
    np.testing.assert_allclose((shifted - (17, -9) - base).mean(axis=0), 0, atol=0.1)


def test_the_mirrored_picture_gives_the_mirrored_points(
    aligner: LandmarkAligner, finder: BlazeFaceFinder, portraits: list[Picture]
) -> None:
    differences = []
    for portrait in portraits:
        width = portrait.shape[1]
        (box,) = finder.find(portrait)
        mirrored_box = FaceBox(width - box.left - box.width, box.top, box.width, box.height, 1, -box.roll)
        mirrored = align(aligner, np.ascontiguousarray(portrait[:, ::-1]), mirrored_box)
        back = mirrored[load_point_sigma().mirror] * (-1, 1) + (width, 0)
        base = align(aligner, portrait, box)
        differences.append((back - base) / iod(base))
    assert np.abs(differences).mean() < 0.004
    # FaceMesh as it comes lies 0.7 % apart between the two.
    np.testing.assert_allclose(np.mean(differences, axis=(0, 1)), 0, atol=0.0015)


@pytest.mark.parametrize("degrees", [60, 120, 180])
def test_rolled_heads_with_the_roll_given(
    aligner: LandmarkAligner, found: Alignment, portrait: Picture, degrees: int
) -> None:
    centre = found.box.centre
    affine = cv2.getRotationMatrix2D((centre[0] - 0.5, centre[1] - 0.5), -degrees, 1)
    turned = np.asarray(cv2.warpAffine(portrait, affine, portrait.shape[:2], borderMode=1), np.uint8)
    box = FaceBox(found.box.left, found.box.top, found.box.width, found.box.height, 1, np.radians(degrees))
    (alignment,) = aligner.align([turned], [box])
    assert alignment is not None
    expected = (align(aligner, portrait, found.box) - centre) @ affine[:, :2].T + centre
    assert np.abs(alignment.mu - expected).mean() < 0.01 * iod(expected)
    off = np.angle(np.exp(1j * (alignment.box.roll - found.box.roll - np.radians(degrees))))
    assert abs(np.degrees(off)) < 3


def test_no_face_is_none(aligner: LandmarkAligner, portrait: Picture) -> None:
    blank = np.full((300, 300, 3), 120, np.uint8)
    somewhere = FaceBox(50, 50, 150, 150)
    assert aligner.align([blank, portrait], [somewhere, None]) == [None, None]
    assert aligner.align([portrait], [FaceBox(-5000, -5000, 10, 10)]) == [None]


def test_pupils_lie_on_the_annotated_ones(shared_data: Path, aligner: LandmarkAligner, finder: BlazeFaceFinder) -> None:
    """Points 468 and 473 against pupils annotated by people, on photographs that no table was measured on."""
    with np.load(shared_data / "photos" / "landmarks_frl189.npz") as data:
        annotated = dict(zip(map(str, data["image"]), data["points"], strict=True))
    errors = []
    for name in [n for n in annotated if n.startswith("london") and int(n.split("/")[1][:3]) % 3 == 0][:8]:
        image = read_image(shared_data / "photos" / name)
        (alignment,) = aligner.align([image], finder.find(image)[:1])
        assert alignment is not None
        errors.append((alignment.mu[[468, 473]] - annotated[name][:2] - 0.5) / iod(alignment.mu))
    assert np.abs(np.mean(errors, axis=(0, 1))).max() < 0.012
    assert np.std(errors, axis=0).mean() < 0.01
