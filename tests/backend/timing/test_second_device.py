"""Fit, network and training on a device that is not the CPU (``second_device``): the same numbers, none mixed."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch

from backend.alignment.flowface.aligner import FlowFaceAligner
from backend.fitting import FitOptions, View, fit_take
from backend.head_model.library import load_head
from backend.observations import FaceBox
from backend.training.atlas_points import atlas_points
from backend.training.config import OptimiserConfig, TrainConfig
from backend.training.data.mixture import Batch
from backend.training.trainer import Trainer
from tests.backend.alignment.flowface.networks import SMALL, constant_network
from tests.backend.fitting import made_takes as made
from tests.backend.fitting.observed import observed
from tests.backend.second_device import second_device


def test_the_device_tells_what_cuda_would() -> None:
    with second_device() as name:
        there = torch.zeros(3, 4, device=name)
        there[torch.tensor([0, 2]), 1] += 5
        there[:, 2] = 7
        assert there.cpu()[:, 1:3].tolist() == [[5, 7], [0, 7], [5, 7]] and float(there.sum()) == 31
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3, 4)
        with pytest.raises(RuntimeError, match="two devices"):
            torch.ones(3)[torch.tensor([1], device=name)]
        with pytest.raises(RuntimeError):
            there.numpy()


@pytest.mark.slow
def test_a_fit_is_the_same_on_another_device() -> None:
    truth = made.performance(4, {"jawOpen": np.linspace(0, 0.6, 4), "eyeBlinkLeft": 0.5})
    seen = observed(made.head(), truth, np.zeros((1, 478, 2)), 1.0)
    views = [View(seen), View(seen)]
    own = fit_take(made.head(), views, FitOptions(device="cpu", max_iterations=2))
    with second_device() as name:
        other = fit_take(made.head(), views, FitOptions(device=name, max_iterations=2))
    assert other.energy == own.energy
    np.testing.assert_array_equal(other.expression, own.expression)
    np.testing.assert_array_equal(other.expression_sigma, own.expression_sigma)
    np.testing.assert_array_equal(other.reprojection_error_px, own.reprojection_error_px)


@pytest.mark.slow
def test_the_aligner_is_the_same_on_another_device() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    box, head, network = FaceBox(24.0, 24.0, 80.0, 80.0), load_head(), constant_network()
    (own,) = FlowFaceAligner(constant_network(), head).align([picture], [box])
    with second_device() as name:
        (other,) = FlowFaceAligner(network.to(name), head).align([picture], [box])
    assert own is not None and other is not None
    np.testing.assert_array_equal(own.point_sets[0].mu, other.point_sets[0].mu)


@pytest.mark.slow
def test_a_step_of_training_is_the_same_on_another_device() -> None:
    # In a process of its own: autograd counts devices when it first runs, which other tests have made it do.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        own, other = process.submit(trained_on_both).result()
    assert other[0] == own[0]
    assert other[1] == pytest.approx(own[1], rel=1e-5)


def trained_on_both() -> tuple[tuple[float, float], tuple[float, float]]:
    """Loss and gradient's norm of a step on the CPU and on the second device."""
    head, rng = load_head(), torch.Generator().manual_seed(3)
    config = TrainConfig("small", network=SMALL, optimiser=OptimiserConfig(ema=0.9, matching=0.1))
    count = len(atlas_points(head))
    batch = Batch(
        torch.randint(0, 256, (2, 3, SMALL.image_size, SMALL.image_size), dtype=torch.uint8, generator=rng),
        SMALL.image_size * torch.rand(2, count, 2, generator=rng),
        torch.rand(2, count, generator=rng),
        torch.ones(2, count, dtype=torch.bool),
    )
    with second_device() as name:
        trainer = Trainer(config, head, torch.device(name))
        step = trainer.train_on(batch)
        trainer.restore(trainer.checkpoint())
        other = float(step.loss), float(step.norm)
    own = Trainer(config, head, torch.device("cpu")).train_on(batch)
    return (float(own.loss), float(own.norm)), other
