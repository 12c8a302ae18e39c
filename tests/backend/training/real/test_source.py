"""Real samples: train people only, labels that lie on the face, weights that say how far they may be believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.flowface.crop import CropLayout
from backend.datasets.splits import split_of_clip, split_of_photo
from backend.errors import UserError
from backend.evaluation.real_data import read_annotation
from backend.head_model.library import load_head
from backend.training.atlas_points import atlas_points
from backend.training.real.labels import DENSE, LabelWeights
from backend.training.real.pictures import INCLUDED, pictures_of
from backend.training.real.sheet import contact_sheet
from backend.training.real.source import RealSource
from backend.training.real.textures import textures_from_photographs
from backend.training.samples import NOMINAL, SAMPLE_SIDE, Sample

PHOTOGRAPH, CLIP = "photos/london_neutral/004_03.jpg", "clips/intel_headpose_female.mp4"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def source(shared_data: Path, cache: Path) -> RealSource:
    return RealSource(shared_data, cache, only=[shared_data / PHOTOGRAPH, shared_data / CLIP])


@pytest.fixture(scope="module")
def vertices() -> int:
    return load_head("open").vertex_count


def test_nobody_of_another_split_is_read_and_nothing_without_a_clear_licence(shared_data: Path) -> None:
    photographs, clips = pictures_of(shared_data, INCLUDED)
    assert {split_of_photo(path) for path in photographs} == {"train"}
    assert {split_of_clip(path) for path in clips} == {"train"}
    assert {path.stem.split("_")[0] for path in clips} == {"grid", "intel", "pyfeat"}
    assert len(clips) == len(set(clips)) == 9


def test_a_test_person_gives_no_sample_and_no_texture_even_where_asked_for(shared_data: Path, tmp_path: Path) -> None:
    photographs, clips = shared_data / "photos", shared_data / "clips"
    asked = [photographs / "london_neutral" / "003_03.jpg", photographs / "canada" / "003f.jpg"]
    named = [path for path in clips.iterdir() if path.stem in ("grid_swiz3n", "grid_lwbsza")]
    assert all(path.is_file() for path in asked)
    assert len(named) == 2
    assert len(RealSource(shared_data, tmp_path / "samples", only=[*asked, *named])) == 0
    assert not textures_from_photographs(photographs, tmp_path / "textures", photographs=asked)
    assert not [*(tmp_path / "samples").iterdir(), *(tmp_path / "textures").iterdir()]


@pytest.mark.parametrize("name", ["lp_*", "pexels_hand_occlusion", "*", "zoom"])
def test_footage_of_unstated_origin_is_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(UserError) as refused:
        pictures_of(shared_data, ["canada", name])
    assert refused.value.code == "unclear_licence"


def test_one_clip_can_be_asked_for(shared_data: Path) -> None:
    photographs, clips = pictures_of(shared_data, ["grid_bbaf2n"])
    assert not photographs
    assert [path.stem for path in clips] == ["grid_bbaf2n"]


def test_labels_lie_where_people_put_them(source: RealSource, shared_data: Path, vertices: int) -> None:
    """Fitted eye and mouth corners against the annotation of a train photograph, through the crop and back."""
    annotated = read_annotation(shared_data / "photos")
    true = annotated.points["london_neutral/004_03.jpg"]
    sample = source.sample(0)
    head = load_head("open")
    points = head.landmarks["ibug68"]
    found = np.einsum("nk,nkc->nc", points.barycentric, sample.mu[:vertices][head.triangles[points.triangle]])
    there = np.array([true[annotated.approximate[i]] for i in annotated.strict])
    here = found[list(annotated.strict)].astype(np.float64)
    # the crop is the photograph turned, shrunk and shifted: the best such map leaves the labels' errors alone
    turned, shift = similarity(here, there)
    off = np.linalg.norm(here @ turned.T + shift - there, axis=1)
    unit = np.linalg.norm(true[annotated.approximate[36]] - true[annotated.approximate[45]])
    assert off.mean() < 0.035 * unit
    assert off.max() < 0.09 * unit


def similarity(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scaled rotation and shift that take points (n,2) closest to others."""
    a = (one - one.mean(axis=0)) @ (1, 1j)
    b = (other - other.mean(axis=0)) @ (1, 1j)
    factor = np.vdot(a, b) / np.vdot(a, a)
    turned = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return turned, other.mean(axis=0) - turned @ one.mean(axis=0)


def test_the_fit_and_the_aligner_agree(source: RealSource, vertices: int) -> None:
    """In every sample the dense labels carry the aligner's points near to where the aligner sees them."""
    head = load_head("open")
    points = head.landmarks["mediapipe478"]
    for index in range(len(source)):
        sample = source.sample(index)
        carried = np.einsum("nk,nkc->nc", points.barycentric, sample.mu[:vertices][head.triangles[points.triangle]])
        weight = sample.weight[vertices:]
        if not weight.any():
            continue  # turned so far that the head alone is the label
        off = np.linalg.norm(carried - sample.mu[vertices:], axis=1)
        assert np.average(off, weights=weight) < 0.02 * NOMINAL


def test_samples_are_whole(source: RealSource) -> None:
    count = len(atlas_points(load_head("open")))
    assert len(source) > 4
    for index in range(len(source)):
        sample = source.sample(index)
        assert sample.image.shape == (SAMPLE_SIDE, SAMPLE_SIDE, 3)
        assert sample.image.dtype == np.uint8
        assert sample.mu.shape == (count, 2)
        assert sample.mu.dtype == sample.weight.dtype == np.float32
        assert np.isfinite(sample.mu).all()
        assert 0 <= sample.weight.min() <= sample.weight.max() <= 1
        assert sample.visible.all()
        assert sample.foreground.min() == 255
        face = CropLayout.of(load_head("open")).face
        inside = sample.crop.points_from_image(sample.mu[face].astype(np.float64))
        assert inside.min() > 0
        assert inside.max() < sample.crop.size
        assert inside.mean(axis=0) == pytest.approx(sample.crop.size / 2, abs=0.15 * sample.crop.size)


def test_photographs_and_clips_say_what_they_are(source: RealSource) -> None:
    names = [source.sample(index).source for index in range(len(source))]
    assert names[0] == "photo london_neutral/004_03 1"
    assert all(name.startswith("clip clips/intel_headpose_female ") for name in names[1:])
    assert len(set(names)) == len(names)


def test_frames_of_a_clip_differ(source: RealSource, vertices: int) -> None:
    samples = [source.sample(index) for index in range(1, len(source))]
    for n, one in enumerate(samples):
        for other in samples[:n]:
            assert np.abs(one.mu[vertices:] - other.mu[vertices:]).mean() > 0.25


def test_what_is_not_valid_or_not_sure_does_not_count(vertices: int) -> None:
    labels = LabelWeights.of(load_head("open"))
    sigma = np.full(478, labels.usual_sigma * 100, np.float32)
    sigma[10] *= 3
    valid = np.ones(478, bool)
    valid[20:30] = False
    weight = labels.weights(sigma, valid, 100.0, 0.01, dense=False)
    assert (weight[:vertices] == 0).all()
    assert (weight[vertices + 20 : vertices + 30] == 0).all()
    assert weight[vertices + 10] == pytest.approx(1 / 9, rel=1e-3)
    assert weight[vertices] == pytest.approx(1, rel=1e-3)
    smaller = labels.weights(sigma, valid, 50.0, 0.01, dense=False)
    assert smaller[vertices] == pytest.approx(1 / 4, rel=1e-3)


def test_vertices_count_only_where_the_fit_is_good(vertices: int) -> None:
    head = load_head("open")
    labels = LabelWeights.of(head)
    sigma, valid = np.ones(478, np.float32), np.ones(478, bool)
    good, fair, bad = (labels.weights(sigma, valid, 100.0, error, dense=True)[:vertices] for error in (0.01, 0.03, 0.1))
    assert good.max() == pytest.approx(DENSE)
    assert 0 < fair.max() < good.max()
    assert bad.max() == 0
    for part in ("teeth", "tongue", "left_eyeball", "mouth_bag"):
        assert good[head.regions[part]].max() == 0


def test_the_cache_goes_on_where_it_was_and_refuses_a_damaged_file(
    source: RealSource, shared_data: Path, cache: Path
) -> None:
    files = {path: path.stat().st_mtime_ns for path in cache.glob("*")}
    assert len(files) == 2
    again = RealSource(shared_data, cache, only=[shared_data / PHOTOGRAPH, shared_data / CLIP])
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*")} == files
    last = len(source) - 1
    assert np.array_equal(again.sample(last).mu, source.sample(last).mu)
    photograph = next(path for path in files if "004_03" in path.name)
    whole = photograph.read_bytes()
    try:
        photograph.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError) as refused:
            RealSource(shared_data, cache, only=[shared_data / PHOTOGRAPH])
        assert refused.value.code == "bad_file"
        assert str(photograph) in refused.value.message
    finally:
        photograph.write_bytes(whole)


def test_the_contact_sheet_shows_the_labels(source: RealSource) -> None:
    sheet = contact_sheet(source, columns=3, rows=1)
    assert sheet.shape == (2 * SAMPLE_SIDE, 6 * SAMPLE_SIDE, 3)
    green = (sheet[..., 1].astype(int) - sheet[..., 0] > 90) & (sheet[..., 1].astype(int) - sheet[..., 2] > 60)
    assert green[:, : 2 * SAMPLE_SIDE].sum() > 200


def test_a_sample_is_the_same_every_time(source: RealSource) -> None:
    one, other = source.sample(1), source.sample(1)
    assert isinstance(one, Sample)
    assert np.array_equal(one.image, other.image)
