"""The choice of samples that make up the batch of a step, and the thread that has it ready in time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from backend.errors import Cancelled
from backend.training.augmentation.sample import Augmented, Augmenter
from backend.training.config import DataConfig
from backend.training.data.pool import Pool
from backend.training.data.shards import Shard
from backend.training.samples import Sample
from backend.training.schedule import shards_in_draw

AHEAD = 3  # batches


@dataclass(frozen=True, eq=False)
class Batch:
    """``images`` uint8 (B,3,D,D) RGB, ``mu`` float32 (B,P,2) crop pixels, ``weight`` float32 and ``visible`` (B,P)."""

    images: Tensor
    mu: Tensor
    weight: Tensor
    visible: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(part.to(device, non_blocking=True) for part in vars(self).values()))


def batch_of(parts: list[Augmented]) -> Batch:
    """Samples side by side."""
    return Batch(
        torch.from_numpy(np.stack([part.image for part in parts])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([part.mu for part in parts])),
        torch.from_numpy(np.stack([part.weight for part in parts])),
        torch.from_numpy(np.stack([part.visible for part in parts])),
    )


class Mixture:
    """Batches drawn from the rendered pool and, where ``real`` is given, a share of them from real pictures.

    The batch of a step is a function of the seed and the step alone. ``wait`` is called while a shard of the draw is
    not there yet, and may raise.
    """

    def __init__(
        self,
        pool: Pool,
        real: Shard | None,
        augment: Augmenter,
        config: DataConfig,
        seed: int,
        wait: Callable[[], None] | None = None,
    ) -> None:
        self._pool, self._real, self._augment = pool, real, augment
        self._config, self._seed, self._wait = config, seed, wait
        self._closing = threading.Event()

    def batch(self, step: int, size: int) -> Batch:
        """The batch of ``step``."""
        return batch_of([self.view(step, n) for n in range(size)])

    def view(self, step: int, n: int) -> Augmented:
        """Sample ``n`` of the batch of ``step``, augmented."""
        rng = np.random.default_rng([self._seed, step, n])
        return self._augment(self._drawn(step, rng), rng)

    def _drawn(self, step: int, rng: np.random.Generator) -> Sample:
        if self._real is not None and rng.random() < self._config.real_fraction:
            return self._real[int(rng.integers(len(self._real)))]
        number = int(rng.integers(shards_in_draw(step, self._config)))
        shard = self._pool.shard(number, self._while_waiting)
        return shard[int(rng.integers(len(shard)))]

    @contextmanager
    def ahead(self, first: int, last: int, size: int) -> Iterator[Iterator[Batch]]:
        """The batches of steps ``first`` to ``last`` − 1, made by other threads while the caller works."""
        self._closing.clear()
        executor = ThreadPoolExecutor(self._config.loaders, thread_name_prefix="loader")
        try:
            yield self._in_order(executor, range(first, last), size)
        finally:
            self._closing.set()
            executor.shutdown(wait=True, cancel_futures=True)

    def _in_order(self, executor: ThreadPoolExecutor, steps: range, size: int) -> Iterator[Batch]:
        left = iter(steps)
        coming = deque(executor.submit(self.batch, step, size) for step in islice(left, AHEAD + self._config.loaders))
        while coming:
            batch = coming.popleft().result()
            coming.extend(executor.submit(self.batch, step, size) for step in islice(left, 1))
            yield batch

    def _while_waiting(self) -> None:
        if self._closing.is_set():
            raise Cancelled
        if self._wait is not None:
            self._wait()
