"""Augmentation moves points with the pixels under them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.alignment.crop import Crop
from backend.head_model.library import load_head
from backend.training.augmentation.backgrounds import Backgrounds
from backend.training.augmentation.pixels import degrade, recolour
from backend.training.augmentation.sample import Augmenter, centred, jittered
from backend.training.config import AugmentConfig
from backend.training.mirror import mirror_permutation
from backend.training.samples import SAMPLE_SIDE, Sample

SHARP = AugmentConfig(
    background=0, occlusion=0, veil=0, colour=0, grey=0, blur=0, low_resolution=0, noise=0, compression=0
)
PLACES = np.array([[112.3, 120.8], [181.2, 118.4], [143.9, 176.1], [120.0, 205.5]], np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
PAIRED = np.array([1, 0, 2, 3])  # the first two are each other's mirror images


def dotted(**changes: object) -> Sample:
    """Four round dots on black, each centred on a point."""
    image = np.zeros((SAMPLE_SIDE, SAMPLE_SIDE, 3), np.uint8)
    for (x, y), colour in zip(PLACES, COLOURS.tolist(), strict=True):
        cv2.circle(image, (round((x - 0.5) * 16), round((y - 0.5) * 16)), 5 * 16, colour, -1, cv2.LINE_AA, 4)
    sample = Sample(
        image=image,
        mu=PLACES.copy(),
        weight=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        visible=np.array([True, False, True, True]),
        foreground=np.full((SAMPLE_SIDE, SAMPLE_SIDE), 255, np.uint8),
        crop=Crop(144.0, 150.0, 192.0, 0.1),
        source="dots",
    )
    return replace(sample, **changes)


def centre_of(image: np.ndarray, colour: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Pixels of the middle of what has ``colour`` around ``near``."""
    other = [image[..., c] if on else 255 - image[..., c] for c, on in enumerate(colour > 0)]
    share = np.clip(np.min(other, axis=0).astype(float) - 40, 0, None)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    share[np.hypot(columns - near[0], rows - near[1]) > 0.06 * image.shape[0]] = 0
    return np.array([(columns * share).sum(), (rows * share).sum()]) / share.sum()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([96, 192, 256]), mirror=st.sampled_from([0.0, 1.0]))
def test_points_move_with_the_pixels(seed: int, size: int, mirror: float) -> None:
    view = Augmenter(replace(SHARP, mirror=mirror), size, PAIRED)(dotted(), np.random.default_rng(seed))
    colours = COLOURS[PAIRED] if mirror else COLOURS
    inside = (view.mu > 8).all(axis=1) & (view.mu < size - 8).all(axis=1)
    for index in np.flatnonzero(inside):
        found = centre_of(view.image, colours[index], view.mu[index])
        assert np.linalg.norm(found - view.mu[index]) < 0.2 * size / 192 + 0.15


def test_what_is_known_of_a_point_is_its_mirror_images_in_a_mirrored_view() -> None:
    sample = dotted()
    view = Augmenter(replace(SHARP, mirror=1.0), 192, PAIRED)(sample, np.random.default_rng(3))
    assert view.weight.tolist() == sample.weight[PAIRED].tolist()
    assert view.visible.tolist() == sample.visible[PAIRED].tolist()


def test_points_far_outside_count_nothing_and_those_just_outside_do() -> None:
    mu = np.array([[144, 150], [144 + 1.3 * 96, 150], [144, 150 + 2.2 * 96], [-900, 150]], np.float32)
    view = centred(dotted(mu=mu, crop=Crop(144.0, 150.0, 192.0)), 192)
    assert (view.weight > 0).tolist() == [True, True, False, False]


@given(seed=st.integers(0, 2**32 - 1))
def test_crops_stay_within_what_the_configuration_allows(seed: int) -> None:
    config, crop = AugmentConfig(), Crop(144.0, 150.0, 192.0, 0.1)
    moved = jittered(crop, config, 192, np.random.default_rng(seed))
    assert abs(np.degrees(moved.roll - crop.roll)) <= config.rotation + 1e-9
    assert max(abs(moved.x - crop.x), abs(moved.y - crop.y)) <= config.shift * crop.side + 1e-9
    assert config.scale_low - 1e-9 <= moved.side / crop.side <= config.scale_high + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_view_depends_on_sample_and_seed_alone(seed: int) -> None:
    every = AugmentConfig(
        background=1, occlusion=1, veil=1, colour=1, grey=0.5, blur=1, low_resolution=1, noise=1, compression=1
    )
    foreground = np.zeros((SAMPLE_SIDE, SAMPLE_SIDE), np.uint8)
    foreground[80:220, 80:220] = 255
    sample = dotted(foreground=foreground)
    before = sample.image.copy()
    first, second = (Augmenter(every, 192, PAIRED)(sample, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mu, second.mu)
    assert np.array_equal(sample.image, before)
    assert first.image.shape == (192, 192, 3)


def test_an_occluder_hides_the_points_behind_it_and_leaves_their_places_known() -> None:
    augment, clear = Augmenter(replace(SHARP, occlusion=1.0), 192, PAIRED), Augmenter(SHARP, 192, PAIRED)
    sample = dotted(visible=np.ones(4, bool))
    hidden = 0
    for seed in range(40):
        view, bare = (make(sample, np.random.default_rng(seed)) for make in (augment, clear))
        assert np.array_equal(view.mu, bare.mu)
        assert np.array_equal(view.weight, bare.weight)
        for index in np.flatnonzero(~view.visible):
            hidden += 1
            column, row = np.floor(view.mu[index]).astype(int)
            assert np.abs(view.image[row, column].astype(int) - bare.image[row, column]).max() > 0
    assert hidden > 5


def test_a_new_background_leaves_the_foreground_alone() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    foreground = np.zeros((64, 64), np.uint8)
    foreground[16:48, 16:48] = 255
    changed = Backgrounds().behind(image, foreground, np.random.default_rng(2))
    assert np.array_equal(changed[16:48, 16:48], image[16:48, 16:48])
    assert np.abs(changed[:16].astype(int) - image[:16]).mean() > 10


def test_pixels_stay_where_they_are_through_colour_and_degradation() -> None:
    config = replace(SHARP, colour=1.0, blur=1.0, noise=1.0, compression=1.0, low_resolution=1.0)
    sample = dotted()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        image = degrade(recolour(sample.image, config, rng), config, rng)
        white = image.min(axis=2)
        white = np.where(white > (int(white.min()) + int(white.max())) / 2, white, 0).astype(float)
        rows, columns = np.mgrid[:SAMPLE_SIDE, :SAMPLE_SIDE] + 0.5
        found = np.array([(columns * white).sum(), (rows * white).sum()]) / white.sum()
        if white.astype(bool).sum() < 400:  # otherwise the white dot alone does not stand out in this light
            assert np.linalg.norm(found - PLACES[3]) < 2.5


def test_mirroring_twice_is_nothing_and_swaps_left_and_right() -> None:
    head = load_head("open")
    mirror = mirror_permutation(head)
    vertices = mirror[: head.vertex_count]
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    for side, other in (("left_eyeball", "right_eyeball"), ("right_eyeball", "left_eyeball"), ("nose", "nose")):
        assert np.array_equal(head.regions[side][vertices], head.regions[other])
    # neighbours stay neighbours, so no vertex was taken for another in the same place
    edges = {frozenset(edge) for t in head.triangles for edge in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))}
    mirrored = {frozenset((vertices[a], vertices[b])) for a, b in (tuple(edge) for edge in edges)}
    assert len(edges & mirrored) > 0.9 * len(edges)
    assert mirror[head.vertex_count + 33] == head.vertex_count + 263
