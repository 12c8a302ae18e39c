"""Pictures of registered scans: their labels lie on the head and weigh what the paper has, and a network learns."""

import io
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from backend.errors import UserError
from backend.head_model.registration.parts import parts_of_open_head
from backend.training.atlas_points import atlas_points
from backend.training.config import find_config, read_config
from backend.training.data.pool import fill
from backend.training.data.sources import rendered_pool
from backend.training.dense_target import DenseTarget
from backend.training.journal import read_journal
from backend.training.loop import TrainRequest, train
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.registered import RegisteredScan
from backend.training.scans.source import ScanSource, draw_view

from .people import HEAD, person, scanned, speckled_skin, truth_of

TEST = read_config(find_config("test"))
CONFIG = replace(
    TEST,
    data=replace(TEST.data, pictures="scans", shards=1, per_shard=16),
    augment=replace(TEST.augment, mirror=0.0, background=0.0, occlusion=0.0, veil=0.0),
    optimiser=replace(TEST.optimiser, steps=8, batch=4, learning_rate=3e-3),
    run=replace(TEST.run, log_every=24, validate_every=4, checkpoint_every=24),
)


def somebody() -> RegisteredScan:
    vertices = person()
    return RegisteredScan("somebody", scanned(vertices, speckled_skin()), truth_of(vertices), "annotated")


@pytest.fixture(scope="module")
def source():
    with ScanSource([somebody()], 64) as made:
        yield made


@pytest.fixture(scope="module")
def pool(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans")

    @contextmanager
    def opened():
        yield source

    for part in ("dev", "train"):
        of_part = rendered_pool(folder, CONFIG, part)
        fill(of_part.folder, of_part.spec, opened, 1, lambda: None)
    return folder


def test_labels_lie_on_the_head_and_weigh_what_the_paper_has(source) -> None:
    sample = source.sample(0, np.random.default_rng(4))
    assert sample.image.shape == (96, 96, 3) and sample.source == "scan somebody 0"
    weight = sample.weight[: HEAD.vertex_count]
    assert set(np.unique(weight)) == {np.float32(0), np.float32(0.005), np.float32(1)}
    outer = parts_of_open_head(HEAD)["outer"]
    assert (weight[outer & (HEAD.regions["face"] | HEAD.regions["ears"])] == 1).all()
    assert not weight[HEAD.regions["left_eyeball"] | HEAD.regions["teeth"]].any()
    # λ_p of the atlas's cells comes of the points': nothing between 0.005 and 1
    _, cells = DenseTarget(HEAD, 16)(torch.from_numpy(sample.mu)[None], torch.from_numpy(sample.weight)[None])
    assert set(np.unique(cells.numpy())) == {np.float32(0), np.float32(0.005), np.float32(1)}
    shown = sample.visible & (sample.weight == 1)
    column, row = np.floor(sample.mu[shown]).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < 96) & (row < 96)
    assert shown.sum() > 500 and (sample.foreground[row[inside], column[inside]] > 0).mean() > 0.97
    assert (~sample.visible[atlas_points(HEAD).weight == 1]).mean() > 0.1  # a head hides its other side


def test_views_keep_to_the_paper_and_differ() -> None:
    rng = np.random.default_rng(0)
    angles = np.rad2deg([draw_view(rng).angles for _ in range(300)])
    assert 80 < np.abs(angles[:, 0]).max() <= 90 and 38 < np.abs(angles[:, 1]).max() <= 45


def test_colours_at_vertices_are_drawn_as_they_are() -> None:
    vertices = person()
    plain = scanned(vertices)
    colors = np.tile(np.array([0.1, 0.6, 0.2], np.float32), (len(vertices), 1))
    green = ScanMesh(vertices, plain.triangles, colors=colors)
    with ScanSource([RegisteredScan("green", green, truth_of(vertices), "annotated")], 64) as made:
        sample = made.sample(0, np.random.default_rng(2))
    red, light, blue = sample.image[sample.foreground > 250].mean(axis=0)
    assert light > 1.5 * red and light > 1.5 * blue
    with pytest.raises(UserError) as caught:
        ScanSource([RegisteredScan("grey", plain, truth_of(vertices), "annotated")], 64)
    assert caught.value.code == "bad_mesh" and "grey" in caught.value.message


@pytest.mark.slow
def test_a_network_learns_from_the_pool(pool, tmp_path) -> None:
    train(TrainRequest(CONFIG, Path("nowhere"), tmp_path / "run", pool), Console(file=io.StringIO()))
    journal = read_journal(tmp_path / "run")
    errors = [entry["nme"] for entry in journal if entry["kind"] == "dev"]  # of views it never learns from
    assert len(errors) == 2 and errors[-1] < 0.97 * errors[0]


def test_a_run_without_its_pictures_says_how_to_make_them(pool, tmp_path) -> None:
    more = replace(CONFIG, data=replace(CONFIG.data, shards=3))
    with pytest.raises(UserError) as caught:
        train(TrainRequest(more, Path("nowhere"), tmp_path / "run", pool), Console(file=io.StringIO()))
    assert caught.value.code == "no_pool" and "flowface scans render" in caught.value.hint
