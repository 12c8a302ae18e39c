"""Footage to a folder of results through a server: what ``flowface track`` and the demo do."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from backend.aligners import BY_NETWORK, require_aligner
from backend.cameras.calibration import cameras_for_views, load_calibration
from backend.errors import UserError
from backend.files import write_atomic
from backend.server.client import Client, OnStatus
from backend.server.discovery import find_server, private_server
from backend.track import Track
from backend.track_io import load_track
from backend.track_overlay import write_overlays
from protocol.messages import CameraSpec, FaceChoice, JobSpec, ViewSpec

JOB_FILES = ("track.npz", "alignments.npz", "report.json")
KEPT_FILES = ("track.npz", "report.json")

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class TrackRequest:
    """What to track and which results to write. ``frames`` is (first, last), both included; None is all of them.

    ``footage`` is one piece per camera; the first one's frames are the take's. ``faces`` are boxes (left, top, width,
    height) in pixels around the face to track, by view (its name, its number from 1, or "" for the first); without one
    the largest is. ``offsets`` are seconds by view: its time at the first one's first frame. ``calibration`` files know
    the cameras, in ``calibration_unit`` ("": as they say). ``neutral`` is an earlier track.npz or a mesh with this
    person's neutral face. ``aligner`` is one of ``backend.aligners.ALIGNERS``, ``weights`` the network's for
    ``flowface``, None for its own. ``deform`` is "nose", "face", "none", or "" for what suits the number of views.
    ``match_skin`` False places several views by the face's points alone.

    ``endpoint`` None uses the backend that runs, else a private one that is started and stopped. In ``out`` only the
    files named in ``TrackOutput.files`` are written, over earlier ones of the same names; nothing else there is
    touched.
    """

    footage: tuple[Path, ...]
    out: Path
    frames: tuple[int, int] | None = None
    faces: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)
    head: str = "open"
    aligner: str = "mediapipe"
    weights: Path | None = None
    endpoint: str | None = None
    blend: bool = True
    overlay: bool = True
    offsets: Mapping[str, float] = field(default_factory=dict)
    calibration: tuple[Path, ...] = ()
    calibration_unit: str = ""
    neutral: Path | None = None
    deform: str = ""
    match_skin: bool = True


@dataclass(frozen=True, eq=False)
class TrackOutput:
    """A finished take: ``files`` maps "track", "report", "overlay" and "scene" to what was written.

    With several views there is one overlay for each, "overlay <view>".
    """

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
    job = job_spec(request)
    with _output_folder(request.out) as out, backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        reply = client.track(job, on_status, JOB_FILES)
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
                files |= write_overlays(track, request.head, reply.files["alignments.npz"].tobytes(), out)
            if finish:
                finish()
                files["scene"] = scene
        return TrackOutput(track, report, files)


def job_spec(request: TrackRequest) -> JobSpec:
    """The job that a request asks for.

    Raises:
        UserError: a calibration that cannot be read or has no camera for a view; ``unknown_view``, ``bad_deform``,
            ``unknown_aligner``, ``weights_unused``.
    """
    paths = [os.path.abspath(path) for path in request.footage]  # noqa: PTH100 - resolve() would follow links
    names = ["camera"] if len(paths) == 1 else view_names(paths)
    cameras: Sequence[CameraSpec | None] = [None] * len(paths)
    metric = True
    if request.calibration:
        calibration = load_calibration(request.calibration, request.calibration_unit)
        cameras = cameras_for_views(calibration, list(zip(paths, names, strict=True)))
        metric = calibration.metric
    if request.deform not in ("", "none", "nose", "face"):
        raise UserError("bad_deform", f"“{request.deform[:20]}” is no region to deform: use nose, face or none.")
    require_aligner(request.aligner)
    options: dict[str, Any] = {"deform_region": request.deform.replace("none", "")} if request.deform else {}
    if not request.match_skin:
        options["match_skin"] = False
    if request.weights is not None:
        if request.aligner not in BY_NETWORK:
            raise UserError(
                "weights_unused",
                f"The aligner “{request.aligner}” takes no weights.",
                "Add --aligner flowface or combined, or leave --weights out.",
            )
        options["weights"] = os.path.abspath(request.weights)  # noqa: PTH100 - as the footage
    offsets = {_view_number(key, names): seconds for key, seconds in request.offsets.items()}
    faces = {_view_number(key, names): FaceChoice("box", box=box) for key, box in request.faces.items()}
    return JobSpec(
        views=tuple(
            ViewSpec(path, name, offsets.get(i, 0.0), camera=camera, face=faces.get(i) if i else None)
            for i, (path, name, camera) in enumerate(zip(paths, names, cameras, strict=True))
        ),
        frames=request.frames,
        head=request.head,
        aligner=request.aligner,
        face=faces.get(0, FaceChoice()),
        options=options,
        metric_cameras=metric,
        neutral_from=os.path.abspath(request.neutral) if request.neutral else "",  # noqa: PTH100 - as the footage
    )


def view_names(paths: Sequence[str]) -> list[str]:
    """What the views are called: their files' names, as short as they differ; with their folders' where they do not."""
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        names = [f"{Path(path).parent.name} {Path(path).stem}" for path in paths]
    if len(set(names)) < len(names):
        names = [f"camera {number}" for number in range(1, len(paths) + 1)]
    return names


def _view_number(key: str, names: Sequence[str]) -> int:
    """The index of the view that a user calls ``key``: by its name, its number from 1, or "" for the first."""
    if key in names:
        return names.index(key)
    if key.isdecimal() and 1 <= int(key) <= len(names):
        return int(key) - 1
    if not key:
        return 0
    raise UserError(
        "unknown_view",
        f"There is no view “{key[:60]}”; there is {', '.join(names)}.",
        "Name a view by its file's name without the ending, or by its number from 1.",
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
