"""Samples survive the disk, and a pool is the same whoever fills it."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.training.augmentation.sample import Augmenter
from backend.training.config import AugmentConfig, DataConfig, find_config, read_config
from backend.training.data.mixture import Mixture
from backend.training.data.pool import Background, Pool, PoolSpec, fill
from backend.training.data.shards import Shard, write_shard
from backend.training.data.sources import jobs, rendered_pool
from backend.training.schedule import shards_in_draw

from ..stand_in import FlatHeads, open_flat_heads

SPEC = PoolSpec(seed=5, per_shard=3, content="flat heads")


def nothing() -> None:
    """For work that nobody stops."""


def test_a_shard_gives_back_what_was_put_in(tmp_path: Path) -> None:
    source = FlatHeads()
    samples = [source.sample(n, np.random.default_rng(n)) for n in range(3)]
    samples[1].weight[100:200] = 0.25
    samples[2].visible[:50] = False
    samples[2].mu[7] = (1e6, -1e6)
    write_shard(tmp_path / "shard", samples)
    shard = Shard(tmp_path / "shard")
    assert len(shard) == 3
    for sample, back in zip(samples, (shard[n] for n in range(3)), strict=True):
        near = np.abs(sample.mu - 144).max(axis=1) < 400
        assert np.abs(sample.mu - back.mu)[near].max() <= 1 / 128 + 1e-4
        assert np.array_equal(sample.weight, back.weight)
        assert np.array_equal(sample.visible, back.visible)
        assert np.array_equal(sample.foreground, back.foreground)
        assert np.abs(sample.image.astype(int) - back.image).mean() < 2
        assert sample.crop == back.crop
        assert sample.source == back.source
    far = shard[2].mu[7]
    assert far[0] > 600 and far[1] < -300, "points far outside stay far outside"


def test_larger_pictures_keep_their_points(tmp_path: Path) -> None:
    small = FlatHeads().sample(0, np.random.default_rng(0))
    image = np.repeat(np.repeat(small.image, 3, axis=0), 3, axis=1)
    write_shard(tmp_path / "shard", [replace(small, image=image, mu=3 * small.mu)])
    back = Shard(tmp_path / "shard")[0]
    near = np.abs(small.mu - 144).max(axis=1) < 400
    assert near.any()
    assert np.abs(3 * small.mu - back.mu)[near].max() <= 3 / 128 + 1e-3


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard", [FlatHeads().sample(0, np.random.default_rng(0))])
    (tmp_path / "shard" / "mu.npy").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="shard") as caught:
        Shard(tmp_path / "shard")
    assert caught.value.code == "bad_shard"


def test_a_pool_is_the_same_in_whichever_order_it_is_filled(tmp_path: Path) -> None:
    fill(tmp_path / "a", SPEC, open_flat_heads, 2, nothing)
    fill(tmp_path / "b", SPEC, open_flat_heads, 1, nothing)
    fill(tmp_path / "b", SPEC, open_flat_heads, 2, nothing)
    for number in range(2):
        one, other = (Pool(tmp_path / name, SPEC).shard(number) for name in "ab")
        assert one.sources == other.sources
        assert all(np.array_equal(one[n].mu, other[n].mu) for n in range(3))
    assert Pool(tmp_path / "a", SPEC).shard(1).sources == ("flat 3", "flat 4", "flat 5")


def test_a_pool_of_something_else_is_refused(tmp_path: Path) -> None:
    Pool(tmp_path, SPEC)
    with pytest.raises(UserError) as caught:
        Pool(tmp_path, PoolSpec(seed=6, per_shard=3, content="flat heads"))
    assert caught.value.code == "other_pool"


def test_a_stopped_fill_leaves_whole_shards_only(tmp_path: Path) -> None:
    calls = []

    def stop_late() -> None:
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, SPEC, open_flat_heads, 2, stop_late)
    pool = Pool(tmp_path, SPEC)
    assert pool.ready(0) and not pool.ready(1)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith(".shard")]


def claim_and_wait(folder: Path, claimed: Event) -> None:
    """Begin the first shard and never end it."""

    def wait() -> None:
        claimed.set()
        time.sleep(600)

    fill(folder, SPEC, open_flat_heads, 1, wait)


@pytest.mark.slow
def test_a_shard_is_made_by_one_process_at_a_time_and_by_another_once_that_one_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    claimed = context.Event()
    other = context.Process(target=claim_and_wait, args=(tmp_path, claimed))
    other.start()
    assert claimed.wait(120)

    def wait() -> None:
        raise KeyboardInterrupt  # called in its stead where there is nothing to make for this process

    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, SPEC, open_nothing, 1, wait)
    other.kill()
    other.join()
    fill(tmp_path, SPEC, open_flat_heads, 1, nothing)
    assert Pool(tmp_path, SPEC).shard(0).sources == ("flat 0", "flat 1", "flat 2")


def open_nothing() -> FlatHeads:
    """For a process that must not make any sample."""
    raise AssertionError("it makes what another process is making")


def test_batches_depend_on_seed_and_step_alone(tmp_path: Path) -> None:
    config = DataConfig(shards=2, per_shard=3, first_shards=1, steps_per_shard=2, loaders=2)
    fill(tmp_path, SPEC, open_flat_heads, 2, nothing)
    augment = Augmenter(AugmentConfig(mirror=0), 64, np.arange(len(FlatHeads().points)))

    def mixture(seed: int = 1) -> Mixture:
        return Mixture(Pool(tmp_path, SPEC), None, augment, config, seed)

    with mixture().ahead(0, 5, 2) as batches:
        ahead = list(batches)
    assert len(ahead) == 5
    for step in (4, 1, 3):  # in any order, as a resumed run asks for them
        again = mixture().batch(step, 2)
        assert np.array_equal(again.images.numpy(), ahead[step].images.numpy())
        assert np.array_equal(again.mu.numpy(), ahead[step].mu.numpy())
    assert not np.array_equal(mixture(2).batch(1, 2).mu.numpy(), ahead[1].mu.numpy())
    assert ahead[0].images.shape == (2, 3, 64, 64)


def test_real_pictures_take_their_share(tmp_path: Path) -> None:
    source = FlatHeads()
    fill(tmp_path, SPEC, open_flat_heads, 1, nothing)
    real = source.sample(0, np.random.default_rng(0))
    real.weight[:] = 0.5
    write_shard(tmp_path / "real", [real])
    config = DataConfig(shards=1, per_shard=3, real_fraction=0.25)
    augment = Augmenter(AugmentConfig(mirror=0), 32, np.arange(len(source.points)))
    mixture = Mixture(Pool(tmp_path, SPEC), Shard(tmp_path / "real"), augment, config, 1)
    share = np.mean([mixture.view(0, n).weight.max() == 0.5 for n in range(200)])
    assert 0.15 < share < 0.35


def test_more_shards_come_into_the_draw_as_steps_pass() -> None:
    config = DataConfig(shards=5, first_shards=2, steps_per_shard=10)
    assert [shards_in_draw(step, config) for step in (0, 9, 10, 29, 30, 1000)] == [2, 2, 3, 4, 5, 5]
    assert shards_in_draw(0, DataConfig(shards=5, first_shards=2, steps_per_shard=0)) == 5


def test_what_is_there_is_not_made_again_and_asks_for_no_process(tmp_path: Path) -> None:
    config = read_config(find_config("test"))

    def asked_for() -> list[Path]:
        return [job.args[0] for job in jobs(Path("nowhere"), tmp_path, config)]  # type: ignore[attr-defined]

    dev, train = (rendered_pool(tmp_path, config, part) for part in ("dev", "train"))
    assert asked_for() == [dev.folder, train.folder]
    fill(dev.folder, dev.spec, open_flat_heads, 1, nothing)
    fill(train.folder, train.spec, open_flat_heads, config.data.shards - 1, nothing)
    assert asked_for() == [train.folder]
    fill(train.folder, train.spec, open_flat_heads, config.data.shards, nothing)
    assert asked_for() == []
    with Background([]) as background:
        background.check()
        assert not multiprocessing.active_children()


@pytest.mark.slow
def test_the_background_says_when_it_failed() -> None:
    with Background([fail]) as background:
        assert background._process is not None
        background._process.join(60)
        with pytest.raises(UserError) as caught:
            background.check()
    assert caught.value.code == "render_failed"


def fail(_: object) -> None:
    """A job that the user can mend."""
    raise UserError("no_photos", "There are no photographs.")
