"""Pictures and truth of the benchmark agree, come from the seed, and are made once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.errors import UserError
from backend.evaluation.benchmark import (
    BenchmarkHead,
    BenchmarkSequence,
    SequenceSpec,
    Truth,
    load_ict_head,
    load_truth,
    load_truth_full,
    render_sequence,
    render_sequences,
)
from backend.evaluation.benchmark.head import EYES, eye_centre
from backend.evaluation.benchmark.make import render_frames
from backend.evaluation.benchmark.scene import make_background, make_scene
from backend.footage import open_footage
from backend.head_model.render import HeadRenderer

SMALL = SequenceSpec("dev", 5, 3, "turns", frame_count=6, side=192)
LARGE = SequenceSpec("dev", 5, 1, "speech", frame_count=6)


@pytest.fixture(scope="module")
def ict_path(shared_data: Path) -> Path:
    return shared_data / "ict" / "ict_facekit.npz"


@pytest.fixture(scope="module")
def ict(ict_path: Path) -> BenchmarkHead:
    return load_ict_head(ict_path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small(ict: BenchmarkHead, cache: Path) -> BenchmarkSequence:
    return render_sequence(SMALL, ict, cache)


@pytest.fixture(scope="module")
def large(ict: BenchmarkHead, cache: Path) -> BenchmarkSequence:
    return render_sequence(LARGE, ict, cache)


@pytest.fixture(scope="module")
def clean(ict: BenchmarkHead, large: BenchmarkSequence) -> tuple[list[NDArray[np.uint8]], Truth]:
    """Every frame of LARGE without blur, noise or compression, and the truth of it."""
    truth = load_truth_full(large.truth)
    return list(render_frames(LARGE, ict, replace(make_scene(LARGE), subframes=1, noise=0.0))), truth


def _decoded(clip: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _at(image: NDArray[np.uint8], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    column, row = np.floor(positions).astype(int).T
    return image[row, column].astype(np.float64)


def test_the_true_mesh_covers_exactly_what_differs_from_the_background(
    clean: tuple[list[NDArray[np.uint8]], Truth],
) -> None:
    frames, truth = clean
    mesh, background = truth.mesh, make_background(LARGE).astype(int)
    with HeadRenderer(mesh.image_size) as renderer:
        for index in (0, len(frames) - 1):
            covered = renderer.surface(
                mesh.vertices[index],
                mesh.triangles,
                focal_px=float(mesh.focal_px[index]),
                principal_point=(256.0, 256.0),
                world_to_camera=np.eye(3, 4),
            ).triangle
            differs = np.abs(frames[index] - background).max(axis=2) > 2
            union = (covered >= 0) | differs
            assert ((covered >= 0) & differs).sum() / union.sum() > 0.98


def test_lips_and_irises_lie_where_the_truth_says(
    ict: BenchmarkHead, clean: tuple[list[NDArray[np.uint8]], Truth]
) -> None:
    frames, truth = clean
    mesh, blink = truth.mesh, truth.expression_names.index("eyeBlink_L")
    image = mesh.image_positions()
    cheek = np.linalg.norm(
        ict.template - ict.template[ict.landmark_vertices[30]] * (0, 1, 1) - (0.045, 0, -0.03), axis=1
    )
    index = int(truth.expression[:, blink].argmin())
    lower_lip = _at(frames[index], image[index, ict.landmark_vertices[[56, 57, 58]]] - (0, 3)).mean(axis=0)
    skin = _at(frames[index], image[index, np.argsort(cheek)[:40]]).mean(axis=0)
    assert lower_lip[0] / lower_lip[1] > 1.05 * skin[0] / skin[1]
    assert mesh.neutral is not None
    left = np.flatnonzero(ict.groups[EYES[0]])
    around = mesh.neutral[left] - eye_centre(mesh.neutral, ict.groups[EYES[0]])
    angle = np.degrees(np.arccos(around[:, 2] / np.linalg.norm(around, axis=1)))
    pupil = _at(frames[index], image[index, left[angle < 6]]).mean()
    assert truth.expression[index, blink] < 0.3
    assert pupil < 0.6 * skin.mean()


def test_landmarks_stay_on_the_mesh_through_the_camera(clean: tuple[list[NDArray[np.uint8]], Truth]) -> None:
    _, truth = clean
    mesh = truth.mesh
    assert mesh.landmarks68 is not None
    triangle, weights = mesh.landmarks68
    marks = np.einsum("nk,tnkc->tnc", weights, mesh.image_positions()[:, mesh.triangles[triangle]])
    assert (marks > 0).all()
    assert (marks < 512).all()
    assert (marks[:, 36:42, 0].mean(axis=1) < marks[:, 42:48, 0].mean(axis=1)).all()  # her right is on our left
    assert (marks[:, 8, 1] > marks[:, 27, 1]).all()


def test_mediapipe_finds_every_face_close_to_the_truth(
    ict: BenchmarkHead, large: BenchmarkSequence, tmp_path: Path
) -> None:
    for sequence in (large, render_sequence(SequenceSpec("dev", 5, 2, "extreme", frame_count=8), ict, tmp_path)):
        mesh = load_truth(sequence.truth)
        take = align_footage(
            open_footage(sequence.clip, None),
            LandmarkAligner(),
            FaceChoice.largest(),
            on_frame=lambda _: None,
            on_progress=lambda *_: None,
            should_cancel=lambda: False,
            finder=BlazeFaceFinder(),
        )
        assert take.found.all()
        assert mesh.landmarks68 is not None
        triangle, weights = mesh.landmarks68
        marks = np.einsum("nk,tnkc->tnc", weights, mesh.image_positions()[:, mesh.triangles[triangle]])
        corners = marks[:, [36, 45]]
        inter_ocular = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)
        error = np.linalg.norm(take.mu[:, [33, 263]] - corners, axis=2).mean(axis=1) / inter_ocular
        assert error.mean() < 0.06


def test_frames_of_the_clip_and_of_the_truth_count_alike(ict: BenchmarkHead, small: BenchmarkSequence) -> None:
    decoded = np.array(_decoded(small.clip), np.float64)
    assert decoded.shape == (SMALL.frame_count, SMALL.side, SMALL.side, 3)
    assert load_truth(small.truth).frame_count == SMALL.frame_count
    for index, frame in enumerate(render_frames(SMALL, ict, make_scene(SMALL))):
        assert ((decoded - frame) ** 2).mean(axis=(1, 2, 3)).argmin() == index


def test_the_same_seed_gives_the_same_pictures_and_truth(
    ict: BenchmarkHead, small: BenchmarkSequence, tmp_path: Path
) -> None:
    again = render_sequence(SMALL, ict, tmp_path)
    np.testing.assert_array_equal(_decoded(small.clip), _decoded(again.clip))
    one, other = load_truth(small.truth), load_truth(again.truth)
    np.testing.assert_array_equal(one.vertices, other.vertices)
    other_seed = load_truth(render_sequence(replace(SMALL, seed=6), ict, tmp_path).truth)
    assert not np.array_equal(one.vertices, other_seed.vertices)


def test_what_is_there_stays_and_what_is_half_there_is_made_again(
    ict: BenchmarkHead, ict_path: Path, small: BenchmarkSequence, tmp_path: Path
) -> None:
    specs = [SMALL, replace(SMALL, person=4)]
    folder = small.clip.parent
    kept = tmp_path / folder.parent.name
    shutil.copytree(folder, kept / folder.name)
    stamp = (kept / folder.name / small.clip.name).stat().st_mtime_ns
    again = {sequence.spec: sequence for sequence in render_sequences(specs, ict_path, tmp_path, workers=1)}
    assert set(again) == set(specs)
    assert again[SMALL].clip.stat().st_mtime_ns == stamp
    whole = load_truth(again[specs[1]].truth).vertices
    again[specs[1]].truth.unlink()
    np.testing.assert_array_equal(load_truth(render_sequence(specs[1], ict, tmp_path).truth).vertices, whole)
    left = sorted(path.name for path in kept.iterdir())
    assert left == sorted(spec.name for spec in specs)


def test_a_cache_that_cannot_be_written_is_said_in_words(ict: BenchmarkHead, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError) as caught:
        render_sequence(SMALL, ict, tmp_path / "file")
    assert caught.value.code == "cache_folder"


def test_truth_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_truth(tmp_path / "truth.npz")
    assert caught.value.code == "file_missing"
    np.savez(tmp_path / "truth.npz", neutral=np.zeros((3, 3)))
    with pytest.raises(UserError) as caught:
        load_truth(tmp_path / "truth.npz")
    assert caught.value.code == "bad_file"
