"""Pieces of the solver's work on the CPU's cores at once.

The solver's matrices are small: torch's own threads inside each operation gain next to nothing on them, and wait for
each other on a machine that is busy with something else (measured: ten times the processor time). Whole pieces of work
side by side, each on one core, use all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from backend.memory import is_scarce

Item = TypeVar("Item")
Result = TypeVar("Result")


def _keep_to_one_core() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread takes its number over when torch first asks: here, before it is set back


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor | None:
    """Threads in which torch keeps to one core, as many as it would use otherwise; None where that is one."""
    count = torch.get_num_threads()
    if count < 2:
        return None
    pool = ThreadPoolExecutor(count, "fitting", initializer=_keep_to_one_core)
    started = threading.Barrier(count)
    for future in [pool.submit(started.wait) for _ in range(count)]:
        future.result()
    torch.set_num_threads(count)  # what later threads begin with; the pool's keep theirs
    return pool


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], like: Tensor) -> list[Result]:
    """``work`` on every item, results in order. One after the other on a GPU (where ``like`` lies), which needs
    no help, and where memory is scarce.

    ``work`` must not call this itself, nor write what another item's reads. Raises what ``work`` raises.
    """
    pool = None if like.is_cuda or is_scarce() else _pool()
    return [work(item) for item in items] if pool is None else list(pool.map(work, items))


@contextmanager
def one_core_each() -> Iterator[None]:
    """Keep torch's operations of the calling thread to one core, too, between the pieces that run side by side."""
    count = torch.get_num_threads()
    _pool()  # as many threads as there were until here
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
