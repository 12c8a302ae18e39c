"""An adaptation from clips to weights, kept only where it is better on frames that it has not learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.adaptation.adapter import Adapter, AdaptOptions
from backend.adaptation.frames import MOST, Frames, FramesWanted, OnProgress, ShouldCancel, gather
from backend.adaptation.judge import Judgement, judge
from backend.adaptation.marks import Marks, follow_marks
from backend.adaptation.work import Work
from backend.alignment.flowface.adapted import ADAPTATION
from backend.alignment.flowface.sampling import sample
from backend.alignment.flowface.weights import find_weights, weights_digest
from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import Cancelled, ErrorCode, UserError
from backend.head_model.library import load_head

CHECKPOINT_EVERY = 25
OnStep = Callable[[int, int, dict[str, float]], None]
"""Called with the steps done, of how many, and the losses by name."""


@dataclass(frozen=True)
class AdaptRequest:
    """``clips`` of one actor by one camera, of each the ``frames`` (first, last), both included, or all, together at
    most ``most``; ``out`` is the file to write if it is better. ``weights`` are the network's to start from, None its
    own."""

    clips: Sequence[Path]
    out: Path
    weights: Path | None = None
    frames: tuple[int, int] | None = None
    most: int = MOST
    options: AdaptOptions = field(default_factory=AdaptOptions)


@dataclass(frozen=True)
class Outcome:
    """What an adaptation came to. ``kept`` is the file that was written, None where nothing is better; ``learnt`` is
    how many frames it learnt from, ``learnt_figures`` the judgement on those."""

    judgement: Judgement
    learnt_figures: Judgement
    learnt: int
    kept: Path | None


def adapt(request: AdaptRequest, on_progress: OnProgress, on_step: OnStep, should_cancel: ShouldCancel) -> Outcome:
    """Adapt; what an interrupted run of the same request has done is not done again.

    Raises UserError: ``weights_missing``, ``bad_weights``, ``unknown_weights``, ``output_unwritable``, and what
    ``gather`` raises; ``Cancelled``, after which the same request goes on.
    """
    start = find_weights(request.weights)
    network = load_weights(start)
    digest = weights_digest(start)
    work = work_of(request)
    wanted = FramesWanted(request.clips, network.config.image_size, start, request.frames, request.most)
    frames = work.frames(lambda: gather(wanted, on_progress, should_cancel))
    adapter = Adapter(network, frames, request.options, load_head("open"))
    adapter.prepare(on_progress, should_cancel)
    held_out, learnt = (_marks(adapter, held) for held in (True, False))
    before = [[adapter.flows(one.frames) for one in marks] for marks in (held_out, learnt)]
    state = work.checkpoint()
    if state is not None:
        adapter.restore(state)
    _train(adapter, work, on_step, should_cancel)
    judgements = [
        judge(frames, adapter.skin, marks, flows, [adapter.flows(one.frames) for one in marks])
        for marks, flows in zip((held_out, learnt), before, strict=True)
    ]
    kept = None
    if judgements[0].better:
        about = _about(request, frames, digest, judgements[0])
        _write(request.out, adapter, {**read_metadata(start), ADAPTATION: json.dumps(about)})
        kept = request.out
    work.remove()
    return Outcome(judgements[0], judgements[1], int((~frames.held_out).sum()), kept)


def work_of(request: AdaptRequest) -> Work:
    """The folder in which the request's work is kept until it is done. Raises as ``find_weights``."""
    digest = weights_digest(request.weights)
    return Work([_states(request.clips), digest, request.frames, request.most, asdict(request.options)])


def _train(adapter: Adapter, work: Work, on_step: OnStep, should_cancel: ShouldCancel) -> None:
    """All steps that are left, with a checkpoint every few and where it is called off."""
    steps = adapter.options.steps
    while adapter.step < steps:
        if should_cancel():
            work.save(adapter.state())
            raise Cancelled
        losses = adapter.train()
        on_step(adapter.step, steps, losses)
        if adapter.step % CHECKPOINT_EVERY == 0:
            work.save(adapter.state())


def _marks(adapter: Adapter, held_out: bool) -> list[Marks]:
    """The marks of every stretch that is long enough for eq. 10."""
    found = []
    for stretch in adapter.frames.stretches(held_out):
        if len(stretch) >= 3:
            nu = torch.from_numpy(adapter.skin.nu)
            mu = adapter.skin.nu + sample(adapter.flows(stretch[:1]), nu)[0].mT.double().numpy()
            found.append(follow_marks(adapter.frames, stretch, mu, adapter.confidence[stretch[0]]))
    return found


def _about(request: AdaptRequest, frames: Frames, digest: str, judgement: Judgement) -> dict[str, Any]:
    """The provenance of adapted weights, as plain values."""
    counts = np.bincount(frames.clip, minlength=len(request.clips))
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "clips": [{"name": c.name, "frames": int(n)} for c, n in zip(request.clips, counts, strict=True)],
        "from": digest,
        "options": asdict(request.options),
        "before": asdict(judgement.before),
        "after": asdict(judgement.after),
        "held_out_frames": judgement.frames,
        "marks": judgement.marks,
    }


def _write(out: Path, adapter: Adapter, about: dict[str, str]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_weights(out, adapter.network, about, half=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{out} cannot be written: {error.strerror or error}.") from error


def _states(clips: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Each clip by name, size and time of change."""
    found = []
    for clip in clips:
        try:
            state = clip.stat()
            found.append((str(clip.absolute()), state.st_size, state.st_mtime_ns))
        except OSError:
            found.append((str(clip.absolute()), 0, 0))
    return found
