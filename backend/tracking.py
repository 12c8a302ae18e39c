"""Footage to a folder of results through a server: what ``flowface track`` and the demo do."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from backend.alignment_io import load_alignment
from backend.errors import UserError
from backend.files import write_atomic
from backend.head_model.library import load_head
from backend.server.client import Client, OnStatus
from backend.server.discovery import find_server, private_server
from backend.track import Track
from backend.track_geometry import seen_vertices
from backend.track_io import load_track
from protocol.messages import FaceChoice, JobSpec, ViewSpec

JOB_FILES = ("track.npz", "alignments.npz", "report.json")
KEPT_FILES = ("track.npz", "report.json")

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class TrackRequest:
    """What to track and which results to write. ``frames`` is (first, last), both included; None is all of them.

    ``face_box`` (left, top, width, height) in pixels chooses the face; None takes the largest. ``endpoint`` None uses
    the backend that runs, else a private one that is started and stopped. In ``out`` only the files named in
    ``TrackOutput.files`` are written, over earlier ones of the same names; nothing else there is touched.
    """

    footage: Path
    out: Path
    frames: tuple[int, int] | None = None
    face_box: tuple[float, float, float, float] | None = None
    head: str = "open"
    aligner: str = "mediapipe"
    endpoint: str | None = None
    blend: bool = True
    overlay: bool = True


@dataclass(frozen=True, eq=False)
class TrackOutput:
    """A finished take: ``files`` maps "track", "report", "overlay" and "scene" to what was written."""

    track: Track
    report: Mapping[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


def track_to_folder(
    request: TrackRequest, on_status: OnStatus | None = None, on_stage: OnStage | None = None
) -> TrackOutput:
    """Track footage and write the results.

    ``on_status`` hears the job's progress, ``on_stage`` in words what happens after it. Ctrl-C cancels the job and is
    raised again. Raises UserError for everything that a user can mend: footage, output folder, backend, Blender.
    """
    _check_blender(request)
    with _output_folder(request.out) as out, backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        reply = client.track(_job(request), on_status, JOB_FILES)
        files = {}
        for name in KEPT_FILES:
            files[Path(name).stem] = out / name
            _write(out / name, reply.files[name].tobytes())
        report = json.loads(reply.files["report.json"].tobytes())
        track = load_track(files["track"])
        extras = " and ".join(
            words for words, wanted in (("the scene", request.blend), ("the overlay", request.overlay)) if wanted
        )
        if on_stage and extras:
            on_stage(f"writing {extras}")
        with contextlib.ExitStack() as stack:
            scene = out / "scene.blend"
            finish = stack.enter_context(_scene_writer(endpoint, reply.job.job_id, scene)) if request.blend else None
            if request.overlay:
                files["overlay"] = _overlay(request, track, reply.files["alignments.npz"].tobytes(), out)
            if finish:
                finish()
                files["scene"] = scene
        return TrackOutput(track, report, files)


def _job(request: TrackRequest) -> JobSpec:
    footage = os.path.abspath(request.footage)  # noqa: PTH100 - resolve() would follow links and rename the footage
    face = FaceChoice("box", box=request.face_box) if request.face_box else FaceChoice()
    return JobSpec(
        views=(ViewSpec(footage),), frames=request.frames, head=request.head, aligner=request.aligner, face=face
    )


@contextlib.contextmanager
def backend_endpoint(endpoint: str | None = None) -> Iterator[str]:
    """Address of the backend asked for, else of the one that runs, else of a private one that ends with the block."""
    running = endpoint or find_server()
    if running:
        yield running
        return
    with private_server() as private:
        yield private


@contextlib.contextmanager
def _output_folder(out: Path) -> Iterator[Path]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(
            "out_folder", f"Results cannot be written to {out}: {error.strerror}.", "Choose another folder with --out."
        ) from error
    yield out


def _write(path: Path, data: bytes) -> None:
    """Write a result whole or not at all."""
    try:
        write_atomic(path, data, public=True)
    except OSError as error:
        raise UserError(
            "out_folder", f"{path} cannot be written: {error.strerror}.", "Choose another folder with --out."
        ) from error


def _check_blender(request: TrackRequest) -> None:
    if request.blend and importlib.util.find_spec("bpy") is None:
        raise UserError(
            "no_blender",
            "scene.blend cannot be written because Blender as a Python module (bpy) is not installed.",
            "Install this project with requirements.txt, or pass --no-blend.",
        )


def _overlay(request: TrackRequest, track: Track, alignments: bytes, out: Path) -> Path:
    """Draw the fitted head and the aligner's points on the footage; the file written."""
    # Only here: without an overlay nobody has to wait for decoders and OpenCV.
    from backend.footage import open_footage
    from backend.overlay import OverlayTake, write_overlay

    head = load_head(request.head)
    with tempfile.TemporaryDirectory(prefix="flowface-") as folder:
        saved = Path(folder) / "alignments.npz"
        saved.write_bytes(alignments)
        landmarks = load_alignment(saved).mu
    neutral = head.neutral(track.identity)
    drawn = head.regions["skin"] | head.regions["left_eyeball"] | head.regions["right_eyeball"]
    take = OverlayTake(
        numbers=track.frames,
        vertices_at=lambda t: seen_vertices(head, track, np.array([t]), neutral=neutral)[0],
        triangles=head.triangles[drawn[head.triangles].all(axis=1)],
        landmarks=landmarks,
        tracked=track.tracked,
        error_percent_iod=track.reprojection_error_percent_iod,
    )
    return write_overlay(out / "overlay", open_footage(request.footage, request.frames), take)


@contextlib.contextmanager
def _scene_writer(endpoint: str, job_id: str, path: Path) -> Iterator[Callable[[], None]]:
    """Blender writes the scene in a process of its own while the block runs; the value waits for it.

    Raises UserError (``scene``) from the wait where Blender could not write it.
    """
    command = [sys.executable, "-m", "blender_addon.headless"]
    command += ["--endpoint", endpoint, "--job", job_id, "--out", str(path)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield lambda: _finish_scene(process, log, path)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _finish_scene(process: subprocess.Popen[bytes], log: IO[bytes], path: Path) -> None:
    if process.wait() == 0 and path.is_file():
        return
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1]}" if lines else "."
    raise UserError("scene", f"Blender could not write {path}{said}", "The track itself is written; see track.npz.")
