"""What is known of a pool's pictures, the views made of them, and a run that stops and goes on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from backend.alignment.flowface.crop import CropLayout
from backend.errors import UserError
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.training.atlas_points import atlas_points
from backend.training.checkpoints import NAME
from backend.training.coarse.config import CoarseConfig, CoarseData, CoarseNetworkConfig, CoarseOptimiser
from backend.training.coarse.known import Teller, rigid, strengths
from backend.training.coarse.loop import CoarseRequest, keep, restore, train_coarse, whole_pool
from backend.training.coarse.network import FEATURES
from backend.training.coarse.surface import CoarseSurface
from backend.training.coarse.trainer import CoarseTrainer
from backend.training.coarse.views import ViewMaker, Views, mean_albedo, prepare
from backend.training.coarse.weights import load_coarse, save_coarse
from backend.training.config import RunConfig
from backend.training.data.pool import Pool, fill
from backend.training.data.sources import rendered_pool
from backend.training.samples import Sample
from backend.training.stop import Stop
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.source import draw_shot, load_actors, place

CONFIG = CoarseConfig(
    "test",
    RunConfig(seed=3, threads=1),
    CoarseData(shards=1, per_shard=6, dev_samples=2, real_fraction=0.0, views=6),
    CoarseNetworkConfig(identity=8, hidden=16),
    optimiser=CoarseOptimiser(steps=6, pretraining_steps=3, batch=4),
)


class Drawn:
    """The pictures of a pool with the right points and nothing to see: what is drawn, without a renderer."""

    def __init__(self, head: HeadModel, actors: tuple[Actor, ...]) -> None:
        self._head, self._actors, self._layout = head, actors, CropLayout.of(head)
        self._weight = atlas_points(head).weight

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        shot = draw_shot(self._actors, rng)
        placed = place(self._head, self._layout, self._actors[shot.actor], shot, 192)
        mu = placed.camera.project(placed.points)
        image = rng.integers(0, 256, (288, 288, 3), np.uint8)
        seen = np.ones(len(mu), bool)
        foreground = np.full((288, 288), 255, np.uint8)
        crop = self._layout.crop(mu, 192)
        return Sample(image, mu.astype(np.float32), self._weight, seen, foreground, crop, f"drawn {index}")


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def actors(head: HeadModel) -> tuple[Actor, ...]:
    return load_actors(head, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, head: HeadModel, actors: tuple[Actor, ...]) -> Path:
    folder = tmp_path_factory.mktemp("coarse") / "pool"
    pool = rendered_pool(folder, CONFIG.pool, "train")

    def source() -> AbstractContextManager[Drawn]:
        return nullcontext(Drawn(head, actors))

    fill(pool.folder, pool.spec, source, 1, lambda: None)
    return folder


@pytest.fixture(scope="module")
def pool(folder: Path) -> Pool:
    return whole_pool(folder, CONFIG, "train")


@pytest.fixture(scope="module")
def surface(head: HeadModel) -> CoarseSurface:
    return CoarseSurface(head, CONFIG.network.identity)


@pytest.fixture(scope="module")
def maker(head: HeadModel, actors: tuple[Actor, ...], pool: Pool, surface: CoarseSurface) -> ViewMaker:
    tell = Teller(head, actors, pool.spec.seed, 192, CONFIG.network.identity)
    return ViewMaker(head, CONFIG, pool, None, tell, surface)


@pytest.fixture(scope="module")
def views(maker: ViewMaker, folder: Path) -> Views:
    return prepare(maker, CONFIG, folder / "views", lambda _done, _of: None)


def test_a_rigid_motion_is_told() -> None:
    points = np.random.default_rng(1).standard_normal((20, 3))
    turn = np.array([[0, -1.0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    found, shift = rigid(points, points @ turn.T + [1, 2, 3])
    np.testing.assert_allclose(found, turn, atol=1e-12)
    np.testing.assert_allclose(shift, [1, 2, 3], atol=1e-12)


def test_strengths_are_told_and_stay_between_none_and_full() -> None:
    random = np.random.default_rng(2)
    actions = random.standard_normal((3, 30)) * 0.01
    ones = np.ones(30)
    told = strengths(actions, np.array([0.3, 0.0, 0.9]) @ actions, ones)
    np.testing.assert_allclose(told, [0.3, 0, 0.9], atol=1e-3)
    np.testing.assert_allclose(strengths(actions, -actions[0] + 2 * actions[1], ones)[:2], [0, 1], atol=0.2)
    half = np.repeat([1.0, 0.0], 15)
    hidden = np.where(half > 0, 0.5 * actions[1], 1.0)  # where nothing is known anything may stand
    np.testing.assert_allclose(strengths(actions, hidden, half), [0, 0.5, 0], atol=1e-3)


def test_rendered_heads_are_told_from_their_seeds(head: HeadModel, actors: tuple[Actor, ...], pool: Pool) -> None:
    """With all components the open head's own people come back, at their place; others within a few millimetres."""
    tell = Teller(head, actors, pool.spec.seed, 192, len(head.shape_basis))
    skin = head.regions["face"] & head.regions["skin"]
    own = 0
    for index in range(len(pool.shard(0))):
        known = tell(index, pool.shard(0)[index], pool.path(0))
        shape = head.neutral(known.identity) + np.einsum("k,kvc->vc", known.expression, head.expression_basis)
        placed = shape @ known.rotation.T + known.translation
        apart = 1e3 * np.linalg.norm(placed - known.vertices, axis=1)[skin]
        shot = draw_shot(actors, np.random.default_rng([pool.spec.seed, index]))
        own += shot.actor == 0
        assert apart.mean() < (0.5 if shot.actor == 0 else 3.0)
    assert 0 < own < len(pool.shard(0))  # both kinds were looked at


def test_a_picture_of_another_number_is_refused(head: HeadModel, actors: tuple[Actor, ...], pool: Pool) -> None:
    tell = Teller(head, actors, pool.spec.seed, 192, 8)
    with pytest.raises(UserError, match="shard-00000") as caught:
        tell(1, pool.shard(0)[0], pool.path(0))
    assert caught.value.code == "bad_shard"


def test_views_lie_where_their_truth_is_seen(views: Views, surface: CoarseSurface) -> None:
    """Turned into the crop and projected by the weak perspective that fits best, the truth lies on the marks."""
    assert views.features.shape == (6, FEATURES)
    assert bool(views.told.all())
    for n in range(len(views)):
        own = views.at(torch.tensor([n]))
        shape = surface.neutral(own.identity) + (own.expression @ surface.expression).view(1, -1, 3)
        seen = (surface.landmarks(shape) @ own.rotation.mT)[0, :468, :2].numpy()
        marks = own.marks[0, :468].numpy()
        seen, marks = seen - seen.mean(0), marks - marks.mean(0)
        scale = (seen * marks).sum() / (seen * seen).sum()
        assert scale > 0
        # close-ups are far from weak perspective: a head 20 cm away loses a tenth
        assert np.linalg.norm(scale * seen - marks, axis=1).mean() < 0.15 * np.linalg.norm(marks, axis=1).mean()


def test_outlines_are_on_the_border_of_what_is_seen(views: Views) -> None:
    """True silhouette points of a head lie at the rim of its skin: beyond the middle of its marks on the mean."""
    known = views.outlined
    assert int(known.sum()) > 60
    for n in range(len(views)):
        middle = views.marks[n].mean(0)
        reach = (views.marks[n] - middle).norm(dim=1).mean()
        assert float((views.outline[n][known[n]] - middle).norm(dim=1).mean()) > float(reach)


def test_both_views_of_a_pair_show_one_person_in_another_way(views: Views) -> None:
    torch.testing.assert_close(views.identity[0::2], views.identity[1::2])
    assert not torch.equal(views.marks[0::2], views.marks[1::2])


def test_views_that_are_there_are_not_made_again(maker: ViewMaker, folder: Path, views: Views) -> None:
    files = sorted((folder / "views").iterdir())
    before = [file.stat().st_mtime_ns for file in files]
    again = prepare(maker, CONFIG, folder / "views", lambda _done, _of: None)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert torch.equal(again.features, views.features)


def test_a_damaged_block_of_views_is_named(maker: ViewMaker, tmp_path: Path, folder: Path) -> None:
    whole = next((folder / "views").iterdir())
    (tmp_path / whole.name).write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(UserError) as caught:
        prepare(maker, CONFIG, tmp_path, lambda _done, _of: None)
    assert caught.value.code == "bad_file"
    assert whole.name in caught.value.message


def _trainer(head: HeadModel, surface: CoarseSurface, views: Views) -> CoarseTrainer:
    trainer = CoarseTrainer(CONFIG, head, surface, np.full((len(surface.vertices), 3), 0.6, np.float32))
    trainer.network.standardise(views.features.float())
    return trainer


def test_stopped_and_resumed_is_the_same_to_the_bit(
    head: HeadModel, surface: CoarseSurface, views: Views, tmp_path: Path
) -> None:
    """Over the border of the pretraining, dropout and all."""
    straight = _trainer(head, surface, views)
    for _ in range(2):
        straight.train_on(views)
    keep(straight, tmp_path)
    names = {name for _ in range(3) for name in straight.train_on(views).parts}
    assert names >= {"landmarks", "pairs", "truth", "silhouette", "photometric", "consistency", "regularisation"}
    resumed = CoarseTrainer(CONFIG, head, surface, np.full((len(surface.vertices), 3), 0.6, np.float32))
    restore(resumed, tmp_path)
    assert resumed.step == 2
    for _ in range(3):
        resumed.train_on(views)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_pretraining_has_landmarks_and_regularisation_alone(
    head: HeadModel, surface: CoarseSurface, views: Views
) -> None:
    """Eq. 10, and the truth of rendered heads."""
    parts = _trainer(head, surface, views).train_on(views).parts
    assert set(parts) == {"landmarks", "pairs", "regularisation", "truth"}


def test_another_runs_checkpoint_is_refused(
    head: HeadModel, surface: CoarseSurface, views: Views, tmp_path: Path
) -> None:
    keep(_trainer(head, surface, views), tmp_path)
    other = replace(CONFIG, weights=replace(CONFIG.weights, pairs=2.0))
    with pytest.raises(UserError, match="weights") as caught:
        restore(CoarseTrainer(other, head, surface, np.zeros((len(surface.vertices), 3), np.float32)), tmp_path)
    assert caught.value.code == "other_run"
    (tmp_path / NAME).write_bytes(b"nothing")
    with pytest.raises(UserError) as caught:
        restore(_trainer(head, surface, views), tmp_path)
    assert caught.value.code == "bad_checkpoint"


def test_a_pool_that_lacks_pictures_is_named(tmp_path: Path, folder: Path) -> None:
    for where, config in ((tmp_path, CONFIG), (folder, replace(CONFIG, data=replace(CONFIG.data, shards=2)))):
        with pytest.raises(UserError, match="train-render") as caught:
            whole_pool(where, config, "train")
        assert caught.value.code == "no_pool"


def test_weights_come_back_and_other_files_are_refused(
    head: HeadModel, surface: CoarseSurface, views: Views, tmp_path: Path
) -> None:
    network = _trainer(head, surface, views).network.eval()
    path = tmp_path / "coarse.safetensors"
    save_coarse(path, network, CONFIG.network, {"step": "0"})
    features = views.features[:1].float()
    torch.testing.assert_close(load_coarse(path)(features).identity, network(features).identity, atol=0.01, rtol=0)
    whole = path.read_bytes()
    for damaged in (
        b"",
        whole[:-10],
        whole[:8] + b"[" + whole[9:],
        whole.replace(b"flowface-coarse-1", b"another-format-99"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError) as caught:
            load_coarse(path)
        assert caught.value.code == "bad_weights"
        assert path.name in caught.value.message


def test_the_mean_albedo_is_what_the_pictures_show() -> None:
    """A vertex seen as 51 and 153 is 102/255; one that no picture shows has the mean of all that are."""
    image = np.full((288, 288, 3), 51, np.uint8)
    image[:, 144:] = 153
    mu = np.array([[10.0, 10.0], [200.0, 10.0], [500.0, 0.0]], np.float32)
    make = partial(Sample, weight=np.ones(3, np.float32), foreground=image[..., 0], crop=None, source="")  # type: ignore[arg-type]
    seen = np.ones(3, bool)
    samples = [make(image, mu, visible=seen), make(image[:, ::-1], mu, visible=seen & [True, False, True])]
    told = mean_albedo(samples, np.arange(3))
    np.testing.assert_allclose(told[:, 0] * 255, [102, 153, (51 + 153 + 153) / 3], atol=1e-3)


def test_a_run_that_cannot_begin_says_why_and_changes_nothing(tmp_path: Path, folder: Path) -> None:
    """Nothing to resume; a run in the way; no pictures; a head of fewer components."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    kept.mkdir()
    (kept / NAME).write_bytes(b"a run")
    request = CoarseRequest(CONFIG, tmp_path, folder, out)
    many = replace(CONFIG, network=replace(CONFIG.network, identity=101))
    no_pool = CoarseRequest(CONFIG, tmp_path, tmp_path / "nowhere", out)
    for code, asked in (
        ("file_missing", replace(request, resume=True)),
        ("run_exists", replace(request, out=kept)),
        ("no_pool", no_pool),
        ("bad_config", replace(request, config=many)),
        ("ict_missing", request),
    ):
        with pytest.raises(UserError) as caught:
            train_coarse(asked, Console(quiet=True), Stop())
        assert caught.value.code == code
    assert (kept / NAME).read_bytes() == b"a run"
    assert not (out / NAME).exists()
