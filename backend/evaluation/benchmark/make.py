"""Renders a sequence of the benchmark into the cache: ``clip.mp4`` and ``truth.npz``, both or neither."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, FaceMotion, camera_vertices
from backend.evaluation.benchmark.heads import benchmark_head
from backend.evaluation.benchmark.motion import perform
from backend.evaluation.benchmark.scene import Scene, make_scene
from backend.evaluation.benchmark.specs import VERSION, SequenceSpec
from backend.evaluation.benchmark.studio import Studio
from backend.evaluation.benchmark.truth import save_truth
from backend.footage.encode import encode_evenly

Image = NDArray[np.uint8]

CLIP, TRUTH = "clip.mp4", "truth.npz"
_CHUNK = 8  # frames posed at a time


@dataclass(frozen=True)
class BenchmarkSequence:
    """A rendered sequence: its video and the file that ``load_truth`` reads."""

    spec: SequenceSpec
    clip: Path
    truth: Path


def default_cache() -> Path:
    """The folder of rendered sequences on this system."""
    return platformdirs.user_cache_path("flowface", appauthor=False) / "benchmark"


def render_sequence(spec: SequenceSpec, ict: BenchmarkHead, cache: Path | None = None) -> BenchmarkSequence:
    """Render a sequence, or find it rendered; ``cache`` is a folder outside the repository (``default_cache``).

    Raises UserError ``no_opengl``, ``no_backgrounds``, or ``cache_folder`` where nothing can be written.
    """
    sequence = _sequence(spec, cache)
    if not (sequence.clip.is_file() and sequence.truth.is_file()):
        with whole_folder(sequence.clip.parent) as unfinished:
            _render_into(unfinished, spec, ict)
    return sequence


def _sequence(spec: SequenceSpec, cache: Path | None) -> BenchmarkSequence:
    folder = benchmark_folder(spec.seed, spec.name, cache)
    return BenchmarkSequence(spec, folder / CLIP, folder / TRUTH)


def benchmark_folder(seed: int, name: str, cache: Path | None) -> Path:
    """The folder of what is rendered under a name; ``cache`` None is ``default_cache``."""
    return (cache or default_cache()) / f"{VERSION}-{seed}" / name


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to render into that takes the place of ``folder`` once nothing failed.

    Raises UserError ``cache_folder`` where nothing can be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        sentence = f"Rendered sequences cannot be written to {folder.parent}: {error.strerror}."
        raise UserError(ErrorCode.CACHE_FOLDER, sentence, "Choose another folder for the benchmark's cache.") from error
    try:
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(unfinished, folder)  # noqa: PTH105 - a folder appears whole
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def render_sequences(
    specs: Sequence[SequenceSpec], ict_path: Path, cache: Path | None = None, workers: int | None = None
) -> Iterator[BenchmarkSequence]:
    """Render what is not in the cache yet, several sequences at a time, and give each back as it is done.

    ``workers`` processes, one per core where it is not said. Closing the iterator stops the work after the sequences
    that are being rendered. Raises UserError as ``benchmark_head`` and ``render_sequence`` do.
    """
    for people in {spec.people for spec in specs}:
        benchmark_head(people, ict_path)
    todo = []
    for spec in specs:
        done = _sequence(spec, cache)
        if done.clip.is_file() and done.truth.is_file():
            yield done
        else:
            todo.append(spec)
    count = min(workers or os.cpu_count() or 1, len(todo))
    if not count:
        return
    # A fresh interpreter each: OpenGL and MediaPipe do not survive a fork.
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin_worker) as pool:
        try:
            jobs = [pool.submit(_render_apart, spec, ict_path, cache) for spec in todo]
            for job in as_completed(jobs):
                result = job.result()
                if isinstance(result, tuple):
                    raise UserError(*result)
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    os.environ["LP_NUM_THREADS"] = "1"  # Mesa's; as many threads as cores in every process only get in each other's way
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # a killed parent's pool would wait for work for ever


def _render_apart(spec: SequenceSpec, ict_path: Path, cache: Path | None) -> BenchmarkSequence | tuple[str, str, str]:
    try:
        return render_sequence(spec, benchmark_head(spec.people, ict_path), cache)
    except UserError as error:  # it would not survive the way back as an exception
        return error.code, error.message, error.hint


def sequence_motion(
    spec: SequenceSpec, ict: BenchmarkHead, seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float32], FaceMotion]:
    """The person's neutral (V,3) and what they do at ``seconds (n,)``."""
    neutral = ict.neutral(spec.identity(len(ict.identity_basis)))
    face = neutral[ict.narrow_face].mean(axis=0).astype(np.float64)
    return neutral, perform(ict, spec, face, np.array(make_scene(spec).place), seconds)


def _render_into(folder: Path, spec: SequenceSpec, ict: BenchmarkHead) -> None:
    scene = make_scene(spec)
    neutral, motion = sequence_motion(spec, ict, np.arange(spec.frame_count) / spec.frame_rate)
    encode_evenly(folder / CLIP, render_frames(spec, ict, scene), spec.frame_rate, crf=scene.crf, repeatable=True)
    save_truth(
        folder / TRUTH, ict, neutral, motion, focal_px=scene.focal_px, side=spec.side, frame_rate=spec.frame_rate
    )


def render_frames(spec: SequenceSpec, ict: BenchmarkHead, scene: Scene) -> Iterator[Image]:
    """RGB pictures (side,side,3) of every frame, blurred by the shutter, which is centred on the frame's time."""
    opened = (np.arange(scene.subframes) - (scene.subframes - 1) / 2) / scene.subframes * scene.shutter
    with Studio(spec, ict, scene, spec.frame_count) as studio:
        for frame, posed in enumerate(_posed(spec, ict, opened)):
            total = np.zeros((spec.side, spec.side, 3), np.int16)
            for vertices in posed:
                total += studio.picture(vertices)
            yield studio.grained(total // len(posed), frame)


def _posed(spec: SequenceSpec, ict: BenchmarkHead, opened: NDArray[np.float64]) -> Iterator[NDArray[np.float32]]:
    """Vertices (subframes,V,3) of every frame."""
    frames = np.arange(spec.frame_count)[:, None] + opened
    left, right = (ict.groups[name] for name in EYES)
    for start in range(0, spec.frame_count, _CHUNK):
        neutral, motion = sequence_motion(spec, ict, frames[start : start + _CHUNK].ravel() / spec.frame_rate)
        vertices = camera_vertices(neutral, ict.expression_basis, (left, right), ict.follows_head, motion)
        yield from vertices.reshape(-1, len(opened), *neutral.shape)
