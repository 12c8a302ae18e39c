"""The work of a refine: a tracked take solved again in part, between what a user says of it.

Every refine starts from the take as it was tracked, which a refined one keeps beside it (``TRACKED``): the result
depends on the corrections alone, and without one it is what was tracked, bit by bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.files import link_or_copy, write_atomic
from backend.pipeline.refine_source import TakeSource, read_source
from backend.pipeline.refined_track import refine_report, refined_track
from backend.pipeline.take_files import TRACKED, alignments_file, texture_file, track_file, wrinkles_file
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import Track
from protocol.messages import RefineJob


def run_job(
    spec: RefineJob, job_dir: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel, **_worker: object
) -> tuple[Track, dict[str, Any]]:
    """Refine the parent's take; raises as ``refine_folder`` does."""
    parent = job_dir.parent / spec.parent
    return refine_folder(spec, parent, job_dir, on_progress=on_progress, should_cancel=should_cancel)


def refine_folder(
    spec: RefineJob, source: Path, out: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Track, dict[str, Any]]:
    """Refine the take in the folder ``source`` into ``out``; ``spec.parent`` does not count.

    ``out`` may be the same where the take has one face: a refined take is of one, and its files are called the same.

    Leaves track.npz and report.json, which are returned, and beside them what the next refine needs: ``TRACKED`` and
    alignments.npz, the same files on disk as the source's where that is possible.

    Raises:
        UserError: ``no_result`` where there is no take or nothing of what was seen in its pictures; ``head_changed``;
            what reading the files and the corrections raise.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.fitting.corrections import resolve
    from backend.pipeline.corrections import to_fit
    from backend.pipeline.take_frames import frames_within

    on_progress(JobProgress("reading the take", 0.0))
    began = time.perf_counter()
    take = read_source(source, spec.face)
    where = spec.name or "the take"
    corrections = to_fit(spec.pins, spec.masks, spec.keys, take.track, take.head, take.seen, where)
    frames = None
    if spec.frames is not None:
        index = frames_within(take.track, spec.frames, where)
        frames = int(index[0]), int(index[-1])
    read = time.perf_counter()
    resolved = resolve(
        take.tracked,
        corrections,
        frames=frames,
        blend=spec.blend,
        on_progress=lambda fraction: on_progress(JobProgress("solving between the corrections", 0.1 + 0.8 * fraction)),
        should_cancel=should_cancel,
    )
    solved = time.perf_counter()
    on_progress(JobProgress("writing the result", 0.95))
    track = refined_track(take.track, take.head, resolved)
    report = refine_report(spec, take, track, resolved)
    report["refine"]["seconds"] = {"read": round(read - began, 4), "fit": round(solved - read, 4)}
    _write(track, report, take, out, spec.face)
    return track, report


def _write(track: Track, report: Mapping[str, Any], take: TakeSource, out: Path, face: int) -> None:
    link_or_copy(take.track_file, out / TRACKED)
    link_or_copy(take.alignments_file, out / alignments_file(1))
    for named in (texture_file, wrinkles_file):
        detail = take.track_file.with_name(named(face))
        if detail.is_file():
            link_or_copy(detail, out / named(1))
        else:
            (out / named(1)).unlink(missing_ok=True)  # of a take that was there before
    save_track(_with_proxies_in(track, take.track_file.parent, out), out / track_file(1))
    write_atomic(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode())


def _with_proxies_in(track: Track, source: Path, out: Path) -> Track:
    """The track with proxies of its own, so that it outlives the take that it was made from.

    They are ``source``'s where that has them: a take that is kept ready (``refine_source``) may have been read from
    another folder, which is gone by now.
    """
    from backend.pipeline.proxies import FOLDER

    cameras = []
    for camera in track.cameras:
        beside, proxy = source / FOLDER / Path(camera.proxy).name, Path(camera.proxy)
        proxy = beside if beside.is_file() else proxy
        if camera.proxy and proxy.is_file():
            (out / FOLDER).mkdir(exist_ok=True)
            link_or_copy(proxy, out / FOLDER / proxy.name)
            camera = replace(camera, proxy=str(out / FOLDER / proxy.name))
        cameras.append(camera)
    return replace(track, cameras=tuple(cameras))
