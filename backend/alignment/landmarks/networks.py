"""The file of landmark networks, and how one of them is run.

``networks.safetensors`` (``convert.py`` wrote it) holds each network as the bytes of a LiteRT flatbuffer, which runs
nothing but LiteRT's built-in operators. It is read only where it is the very file that this version was made with.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from backend.errors import ErrorCode, UserError

F32 = NDArray[np.float32]
NetworkName = Literal["detector", "far_detector", "face_mesh", "iris", "blendshapes"]

NETWORKS = Path(__file__).with_name("networks.safetensors")
SHA256 = "1126064b86a5c5df8f2ebe9dcfe21770a811d63c987aefa29956024ce59417d7"
"""Of ``NETWORKS``."""
MAX_BYTES = 16 << 20


@cache
def network_bytes(path: Path = NETWORKS, sha256: str = SHA256) -> dict[str, bytes]:
    """Each network's flatbuffer by name. Raises UserError ``bad_weights`` where the file is not the one expected."""
    hint = "Install FlowFace again: the file came with it."
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        sentence = f"The landmark networks {path} cannot be read: {error.strerror}."
        raise UserError(ErrorCode.BAD_WEIGHTS, sentence, hint) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(ErrorCode.BAD_WEIGHTS, f"The landmark networks {path} are not the file expected.", hint)
    try:
        return {name: flat.tobytes() for name, flat in load(content).items()}
    except SafetensorError as error:
        raise UserError(ErrorCode.BAD_WEIGHTS, f"The landmark networks {path} are damaged: {error}.", hint) from error


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Network:
    """One network, pictures (or points) in, arrays out. Not safe to call from two threads at once.

    ``lanes`` copies of it run side by side, one thread each: several pictures share the cores better so than one
    picture's operators do.
    """

    def __init__(self, content: bytes, *, scale: float = 1 / 255, shift: float = 0.0, lanes: int = 1) -> None:
        """``content`` is the flatbuffer; the network is shown ``scale`` × value + ``shift`` of what it is given."""
        self._lanes = [_Lane(content, scale, shift) for _ in range(max(1, lanes))]
        self._pool = ThreadPoolExecutor(len(self._lanes) - 1, "landmarks") if len(self._lanes) > 1 else None
        self.size: int = self._lanes[0].size
        """Pixels along each side of its pictures."""

    def __call__(self, pictures: Sequence[NDArray[Any]]) -> list[F32]:
        """The network's outputs, each (B,n) for B pictures (size,size,3) RGB of uint8, or B rows of points."""
        shares = [range(lane, len(pictures), len(self._lanes)) for lane in range(len(self._lanes))]
        answers: list[list[F32]] = [[] for _ in pictures]

        def run(lane: int) -> None:
            for index in shares[lane]:
                answers[index] = self._lanes[lane](pictures[index])

        waiting = []
        if self._pool is not None:
            waiting = [self._pool.submit(run, lane) for lane in range(1, len(self._lanes)) if shares[lane]]
        run(0)
        for others in waiting:
            others.result()
        return [np.stack(output) for output in zip(*answers, strict=True)]

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()


class _Lane:
    def __init__(self, content: bytes, scale: float, shift: float) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _quiet():
            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        told = self._interpreter.get_input_details()[0]
        self._input, self._outputs = told["index"], [o["index"] for o in self._interpreter.get_output_details()]
        self._picture = np.empty(told["shape"], np.float32)
        self._scale, self._shift = np.float32(scale), np.float32(shift)
        self.size = int(told["shape"][1])

    def __call__(self, picture: NDArray[Any]) -> list[F32]:
        shown = self._picture[0]
        shown[...] = picture
        shown *= self._scale
        if self._shift:
            shown += self._shift
        self._interpreter.set_tensor(self._input, self._picture)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output).ravel() for output in self._outputs]


_STDERR = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """LiteRT remarks on every network it opens straight to file descriptor 2, whatever its log level says."""
    with _STDERR:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, AttributeError, ValueError):  # a process without standard error
            yield
            return
        try:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
