"""A training run: pictures in, weights, checkpoints and a log out; stopped at any moment and resumed to the step."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from rich.console import Console

from backend.errors import Cancelled, ErrorCode, UserError
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.memory import keep_freed_memory
from backend.training.augmentation.sample import Augmenter
from backend.training.checkpoints import NAME, load_checkpoint, save_checkpoint
from backend.training.config import TrainConfig
from backend.training.data import sources
from backend.training.data.mixture import Batch, Mixture
from backend.training.data.pool import POLL, Background, Pool
from backend.training.data.shards import Shard
from backend.training.journal import Journal
from backend.training.mirror import mirror_permutation
from backend.training.progress_view import TrainingView
from backend.training.samples import Sample
from backend.training.schedule import learning_rate, shards_in_draw
from backend.training.stop import Stop
from backend.training.trainer import StepResult, Trainer
from backend.training.validate import Accuracy, Validation

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class TrainRequest:
    """A training to run: ``out`` for what comes of it, ``pool`` for the pictures (``out``/pool where None).

    ``minutes`` bounds this call, not the run; ``resume`` goes on from ``out``'s checkpoint; ``start`` are weights to
    begin with, ``encoder`` the weights of the encoder alone (``take_encoder``).
    """

    config: TrainConfig
    data: Path
    out: Path
    pool: Path | None = None
    minutes: float | None = None
    resume: bool = False
    start: Path | None = None
    encoder: Path | None = None

    @property
    def pool_folder(self) -> Path:
        return self.pool or self.out / "pool"


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures that a run draws from: the pool of rendered samples, real ones, and those it is only measured on."""

    pool: Pool
    real: Shard | None
    dev: list[Sample]
    real_dev: list[Sample]


def train(request: TrainRequest, console: Console, stop: Stop | None = None) -> None:
    """Train until the last step, ``minutes`` or a signal; in each case what was reached is on disk afterwards.

    ``stop`` is of a caller that has listened for signals since before this module was loaded; without one, signals
    count from here on.

    Raises UserError: ``run_exists`` where ``out`` holds a run and ``resume`` is not asked for, ``no_cuda``, and as
    reading configuration, checkpoint and data does.
    """
    began = time.monotonic()
    cv2.setNumThreads(0)  # the loaders' own threads are enough
    keep_freed_memory()
    _check_out(request)
    with contextlib.ExitStack() as stack:
        stop = stop or stack.enter_context(Stop())
        view = stack.enter_context(TrainingView(console))
        try:
            stop.check()
            open_head = load_head("open")
            trainer = _trainer(request, open_head)
            stop.check()
            background = stack.enter_context(
                Background(sources.jobs(request.data, request.pool_folder, request.config))
            )

            def wait() -> None:
                stop.check()
                background.check()

            pictures = gather(request.pool_folder, request.config, trainer.step, wait, view.say)
        except Cancelled:
            view.say(_stopped_early(request.out))
            return
        with Journal(request.out, trainer.step) as journal:
            run = Run(request, trainer, pictures, journal, view, open_head)
            run.until(stop, wait, None if request.minutes is None else began + 60 * request.minutes)


class Run:
    """The loop itself, with all that it reports to."""

    def __init__(
        self,
        request: TrainRequest,
        trainer: Trainer,
        pictures: Pictures,
        journal: Journal,
        view: TrainingView,
        open_head: HeadModel,
    ) -> None:
        self._out, self._config = request.out, trainer.config
        self._trainer, self._pictures, self._journal, self._view = trainer, pictures, journal, view
        size = trainer.config.network.image_size
        self._augment = Augmenter(trainer.config.augment, size, mirror_permutation(open_head))
        self._validation = Validation(open_head, size)
        self._latest: dict[str, Accuracy] = {}
        self._saved = trainer.step

    def until(self, stop: Stop, wait: Callable[[], None], deadline: float | None) -> None:
        """Train to the last step, or until stopped or late."""
        config, trainer = self._config, self._trainer
        mixture = Mixture(self._pictures.pool, self._pictures.real, self._augment, config.data, config.run.seed, wait)
        steps, batch = config.optimiser.steps, config.optimiser.batch
        since, seen = time.monotonic(), 0
        with contextlib.suppress(Cancelled), mixture.ahead(trainer.step, steps, batch) as batches:
            for part in self._kept_on_error(batches):
                result = trainer.train_on(part)
                seen += batch
                if trainer.step % config.run.log_every == 0 or trainer.step == steps:
                    now = time.monotonic()
                    self._log(result, seen / (now - since))
                    since, seen = now, 0
                if trainer.step % config.run.validate_every == 0 or trainer.step == steps:
                    self._validate()
                    since, seen = time.monotonic(), 0
                if trainer.step % config.run.checkpoint_every == 0:
                    self._save()
                if stop.wanted or (deadline is not None and time.monotonic() > deadline):
                    break
        self._keep()
        if trainer.step == 0:
            self._view.say(_stopped_early(self._out))
            return
        self._view.say(f"stopped after step {trainer.step} of {steps}; {self._out / WEIGHTS} holds the weights")

    def _kept_on_error(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; where no more can be made, what was reached is saved before that is said."""
        try:
            yield from batches
        except UserError:
            self._keep()
            raise

    def _keep(self) -> None:
        if self._saved != self._trainer.step:
            self._save()

    def _log(self, result: StepResult, rate: float) -> None:
        step = self._trainer.step
        figures = {
            "loss": float(result.loss),
            "distance_px": float(result.distance),
            "gradient": float(result.norm),
            "learning_rate": learning_rate(step - 1, self._config.optimiser),
            "images_per_second": rate,
        }
        self._journal.write(step, "train", {name: float(f"{value:.6g}") for name, value in figures.items()})
        self._view.on_step(step, self._config.optimiser.steps, figures)

    def _validate(self) -> None:
        network = self._trainer.best()
        for kind, samples in (("dev", self._pictures.dev), ("real", self._pictures.real_dev)):
            if not samples:
                continue
            began = time.monotonic()
            accuracy = self._validation(network, samples, self._trainer.device)
            self._latest[kind] = accuracy
            seconds = round(time.monotonic() - began, 2)
            self._journal.write(self._trainer.step, kind, {**accuracy.scalars(), "seconds": seconds})
            self._view.on_accuracy(self._trainer.step, kind, accuracy)

    def _save(self) -> None:
        save_checkpoint(self._out, self._trainer.checkpoint())
        self._saved = self._trainer.step
        figures = {kind: accuracy.scalars() for kind, accuracy in self._latest.items()}
        about = {
            "name": self._config.name,
            "step": str(self._trainer.step),
            "training": json.dumps(self._config.as_dict()),
            "accuracy": json.dumps(figures),
        }
        self._trainer.export(self._out / WEIGHTS, about)


def gather(
    folder: Path, config: TrainConfig, step: int, wait: Callable[[], None], say: Callable[[str], None]
) -> Pictures:
    """Gathers the pictures that a run needs before ``step``, waiting where the background has not made them yet."""
    real: dict[sources.Part, Shard] = {}
    if config.data.real_fraction:
        for part in ("train", "dev"):
            path = sources.real_shard(folder, part)
            _wait_for(path.is_dir, "real pictures", wait, say)
            real[part] = Shard(path)
    dev = sources.rendered_pool(folder, config, "dev")
    _wait_for(lambda: dev.ready(0), "rendered pictures to be measured on", wait, say)
    pool = sources.rendered_pool(folder, config, "train")
    count = shards_in_draw(step, config.data)
    for number in range(count):
        ready = _ready(pool, number)
        _wait_for(ready, f"rendered pictures, {count * config.data.per_shard} to begin with", wait, say)
    return Pictures(pool, real.get("train"), list(_all(dev.shard(0))), list(_all(real["dev"])) if "dev" in real else [])


def _stopped_early(out: Path) -> str:
    kept = f"{out} holds the run as it was" if (out / NAME).exists() else "there is nothing to keep yet"
    return f"stopped before the first step; {kept}"


def _ready(pool: Pool, number: int) -> Callable[[], bool]:
    return lambda: pool.ready(number)


def _wait_for(ready: Callable[[], bool], what: str, wait: Callable[[], None], say: Callable[[str], None]) -> None:
    if not ready():
        say(f"waiting for {what}")
    while not ready():
        wait()
        time.sleep(POLL)


def _all(shard: Shard) -> Iterator[Sample]:
    return (shard[index] for index in range(len(shard)))


def _check_out(request: TrainRequest) -> None:
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{request.out} cannot be made: {error.strerror}.") from error
    if not request.resume and (request.out / NAME).exists():
        raise UserError(
            ErrorCode.RUN_EXISTS,
            f"{request.out} already holds a run.",
            "Add --resume to go on with it, or name another folder.",
        )


def _trainer(request: TrainRequest, open_head: HeadModel) -> Trainer:
    config = request.config
    device = _device(config)
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    trainer = Trainer(config, open_head, device)
    if request.resume:
        trainer.restore(load_checkpoint(request.out, config))
    elif request.start is not None:
        from backend.alignment.flowface.weights_file import load_weights

        try:
            trainer.start_from(load_weights(request.start))
        except ValueError as error:
            raise UserError(
                ErrorCode.BAD_WEIGHTS,
                f"{request.start} cannot begin a run of {config.name}: {error}.",
                "Only image_size, uv_size and iterations may be others than in the file.",
            ) from error
    elif request.encoder is not None:
        trainer.begin_with_encoder(request.encoder)
    return trainer


def _device(config: TrainConfig) -> torch.device:
    if config.run.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.run.device == "cuda" and not torch.cuda.is_available():
        raise UserError(ErrorCode.NO_CUDA, f"The configuration {config.name} wants a GPU, and torch finds none.")
    return torch.device(config.run.device)
