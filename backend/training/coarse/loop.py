"""A training run of the coarse regressor: a pool of pictures in, weights, checkpoint and log out; it may be resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from backend.errors import Cancelled, ErrorCode, UserError
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.terminal.progress_bar import progress_bar
from backend.training.checkpoints import NAME, Checkpoint, other_run, read_checkpoint, save_checkpoint
from backend.training.coarse.config import CoarseConfig
from backend.training.coarse.known import Teller
from backend.training.coarse.surface import CoarseSurface
from backend.training.coarse.trainer import CoarseTrainer, StepLosses
from backend.training.coarse.views import ViewMaker, Views, mean_albedo, prepare
from backend.training.coarse.weights import save_coarse
from backend.training.data.pool import Pool
from backend.training.data.shards import Shard
from backend.training.data.sources import Part, real_shard, rendered_pool
from backend.training.journal import Journal
from backend.training.samples import Sample
from backend.training.stop import Stop
from backend.training.synthetic.source import load_actors

WEIGHTS = "coarse.safetensors"
ALBEDO_SAMPLES = 128
"""Rendered pictures whose mean colour is the albedo of eq. 3."""


@dataclass(frozen=True)
class CoarseRequest:
    """A training to run from the pictures in ``pool``; ``data`` holds the ICT head, ``out`` gets what comes of it."""

    config: CoarseConfig
    data: Path
    pool: Path
    out: Path
    resume: bool = False


def train_coarse(request: CoarseRequest, console: Console, stop: Stop) -> None:
    """Train to the last step or until ``stop``; what was reached is on disk afterwards.

    Raises UserError: ``no_pool`` where ``pool`` lacks a shard, ``run_exists`` where ``out`` holds a run and ``resume``
    is not asked for, ``other_run``, and as reading pool, checkpoint and ICT head does.
    """
    config = request.config
    if request.resume != (request.out / NAME).exists():
        if request.resume:
            read_checkpoint(request.out)  # says that there is none
        raise UserError(
            ErrorCode.RUN_EXISTS,
            f"{request.out} already holds a run.",
            "Add --resume to go on with it, or name another folder.",
        )
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{request.out} cannot be made: {error.strerror}.") from error
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    head = load_head("open")
    if config.network.identity > len(head.shape_basis):
        raise UserError(
            ErrorCode.BAD_CONFIG,
            f"The training configuration {config.name} asks for {config.network.identity} identity components, but the "
            f"open head has {len(head.shape_basis)}.",
        )
    surface = CoarseSurface(head, config.network.identity)
    maker, samples = _maker(request, head, surface)
    with progress_bar(console) as bar:
        try:
            views = prepare(maker, config, request.out / "views", _telling(bar, stop))
            trainer = CoarseTrainer(config, head, surface, mean_albedo(samples, surface.vertices))
            if request.resume:
                restore(trainer, request.out)
            else:
                trainer.network.standardise(views.features.float())
            _steps(request, trainer, views, bar, stop, console)
        except Cancelled:
            console.print("stopped; “--resume” goes on from the last checkpoint, if there is one")


def _maker(request: CoarseRequest, head: HeadModel, surface: CoarseSurface) -> tuple[ViewMaker, list[Sample]]:
    config = request.config
    pool = whole_pool(request.pool, config, "train")
    real: Shard | None = None
    if config.data.real_fraction:
        path = real_shard(request.pool, "train")
        if not path.is_dir():
            raise _no_pool(path, "real pictures")
        real = Shard(path)
    tell = teller(request.data, request.pool, config, head, pool)
    shard = pool.shard(0)
    samples = [shard[index] for index in range(min(ALBEDO_SAMPLES, len(shard)))]
    return ViewMaker(head, config, pool, real, tell, surface), samples


def teller(data: Path, folder: Path, config: CoarseConfig, head: HeadModel, pool: Pool) -> Teller:
    """What is known of a pool's pictures. Raises UserError as ``load_ict_actor`` does."""
    actors = load_actors(head, data / "ict" / "ict_facekit.npz", folder / "cache")
    return Teller(head, actors, pool.spec.seed, config.data.crop, config.network.identity)


def whole_pool(folder: Path, config: CoarseConfig, part: Part) -> Pool:
    """The rendered pictures of ``part``. Raises UserError ``no_pool`` where a shard is missing, ``other_pool``."""
    if not (folder / part / "pool.json").is_file():
        raise _no_pool(folder / part, "rendered pictures")
    pool = rendered_pool(folder, config.pool, part)
    for number in range(config.data.shards if part == "train" else 1):
        if not pool.ready(number):
            raise _no_pool(pool.path(number), "rendered pictures")
    return pool


def _no_pool(folder: Path, what: str) -> UserError:
    return UserError(
        ErrorCode.NO_POOL,
        f"There are no {what} at {folder}.",
        "Make them with “flowface train-render”, or ask for fewer shards.",
    )


def _telling(bar: Progress, stop: Stop) -> Callable[[int, int], None]:
    task = bar.add_task("preparing views", total=None)

    def on_block(done: int, of: int) -> None:
        bar.update(task, completed=done, total=of)
        stop.check()

    return on_block


def _steps(
    request: CoarseRequest, trainer: CoarseTrainer, views: Views, bar: Progress, stop: Stop, console: Console
) -> None:
    config = request.config
    task = bar.add_task("training", total=config.optimiser.steps, completed=trainer.step)
    began, first = time.monotonic(), trainer.step
    with Journal(request.out, trainer.step) as journal:
        while trainer.step < config.optimiser.steps:
            losses = trainer.train_on(views)
            bar.update(task, completed=trainer.step)
            last = trainer.step == config.optimiser.steps
            if trainer.step % config.run.log_every == 0 or last:
                journal.write(trainer.step, "train", _figures(losses))
            if trainer.step % config.run.checkpoint_every == 0 or last or stop.wanted:
                keep(trainer, request.out)
            stop.check()
    about = {"training": json.dumps(config.as_dict()), "step": str(trainer.step)}
    save_coarse(request.out / WEIGHTS, trainer.network, config.network, about)
    seconds = time.monotonic() - began
    console.print(f"{request.out / WEIGHTS}: {trainer.step - first} steps in {seconds:.0f} s")


def _figures(losses: StepLosses) -> dict[str, float]:
    return {"total": float(losses.total), **{name: float(loss) for name, loss in losses.parts.items()}}


def keep(trainer: CoarseTrainer, folder: Path) -> None:
    """Write the checkpoint from which ``restore`` goes on."""
    own = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    state = trainer.optimiser.state_dict()
    save_checkpoint(folder, Checkpoint(trainer.step, own, {}, state, trainer.config.as_dict()))


def restore(trainer: CoarseTrainer, folder: Path) -> None:
    """Go on where ``keep`` left off. Raises UserError as ``read_checkpoint`` does, and ``other_run``."""
    checkpoint = read_checkpoint(folder)
    ours = trainer.config.as_dict()
    for part in ("data", "network", "weights", "optimiser", "augment"):
        if checkpoint.config.get(part) != ours[part]:
            raise other_run(folder, part, checkpoint.config.get(part), ours[part])
    if checkpoint.config["run"]["seed"] != ours["run"]["seed"]:
        raise other_run(folder, "seed", checkpoint.config["run"]["seed"], ours["run"]["seed"])
    trainer.network.load_state_dict(checkpoint.network)
    trainer.optimiser.load_state_dict(checkpoint.optimiser)
    trainer.step = checkpoint.step
