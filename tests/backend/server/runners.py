"""Kinds of work that end in every way that work can end: what the server runs in tests that need no face.

The worker loads these as it loads ``backend.pipeline.track_job:run_job``; they run in its process, under its rules.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import sys
import time
from pathlib import Path

import numpy as np

from backend.errors import Cancelled, UserError
from backend.files import write_atomic
from backend.head_model.library import load_head
from backend.progress import Attempt, JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import CameraTrack, Track
from protocol.messages import TrackJob

FIRST_SHOWN = 3
STEPS = 10  # of ``resumable``


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def run(
    spec: TrackJob,
    folder: Path,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    on_partial: OnPartial,
    attempt: Attempt,
) -> None:
    """Do what the file name of the footage says."""
    with (folder / "attempts.txt").open("a", encoding="utf-8") as attempts:
        attempts.write(f"{attempt.number} {attempt.smaller}\n")
    match Path(spec.views[0].footage).stem:
        case "partial":
            partial(spec, folder, should_cancel, on_partial)
            return
        case "hungry":
            hungry(folder, attempt)
            return
    deeds = {
        "quick": quick,
        "until-cancelled": until_cancelled,
        "deaf": deaf,
        "user-error": user_error,
        "bug": bug,
        "memory": memory,
        "crash": crash,
        "noisy": noisy,
        "rambling": rambling,
        "resumable": resumable,
        "writing": writing,
        "large": large,
    }
    deeds[Path(spec.views[0].footage).stem](spec, folder, on_progress, should_cancel)


def quick(spec: TrackJob, folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Count three frames and leave a note of the order in which jobs ran."""
    for done in range(1, 4):
        on_progress(JobProgress("counting", done / 3, done, 3))
    with (folder.parent / "order.txt").open("a", encoding="utf-8") as order:
        order.write(f"{spec.name}\n")


def until_cancelled(_spec: TrackJob, _folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Work until told to stop, and stop."""
    on_progress(JobProgress("working", 0.5, 1, 2))
    while not should_cancel():
        time.sleep(0.005)
    raise Cancelled


def deaf(_spec: TrackJob, _folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Never listen."""
    on_progress(JobProgress("not listening", 0.5, 1, 2))
    while True:
        time.sleep(1)


def user_error(spec: TrackJob, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Refuse the footage."""
    raise UserError("no_face", f"No face was found in {spec.views[0].footage}.", "Choose footage that shows a face.")


def bug(_spec: TrackJob, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Fail as a programming error does."""
    [].pop()


def memory(_spec: TrackJob, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Ask for more than any machine has."""
    bytearray(1 << 60)


def hungry(folder: Path, attempt: Attempt) -> None:
    """Ask for less with each try, and for what there is at the third."""
    bytearray(1 << (60 if attempt.smaller < 2 else 4))
    write_atomic(folder / "result.txt", b"modest")


def resumable(_spec: TrackJob, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Do ``STEPS`` steps, each once however often it begins anew; half-way wait for the test to make ``proceed``."""
    steps = folder / "steps.txt"
    begun = len(steps.read_text().splitlines()) if steps.exists() else 0
    for step in range(begun, STEPS):
        on_progress(JobProgress("half-way" if step == STEPS // 2 else "stepping", step / STEPS, step, STEPS))
        while step == STEPS // 2 and not (folder / "proceed").exists():
            if should_cancel():
                raise Cancelled
            time.sleep(0.005)
        with steps.open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")


def writing(_spec: TrackJob, folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Write what a full disk has no room for."""
    on_progress(JobProgress("writing", 0.5, 1, 2))
    write_atomic(folder / "result.txt", bytes(100_000))


KEPT: list[bytes] = []


def large(_spec: TrackJob, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Keep 200 MB, as caches do."""
    KEPT.append(b"x" * (200 << 20))


def crash(_spec: TrackJob, _folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Die as a decoder's segmentation fault does."""
    on_progress(JobProgress("decode and align", 0.25, 1, 4))
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def partial(spec: TrackJob, folder: Path, should_cancel: ShouldCancel, on_partial: OnPartial) -> None:
    """Show a track of ``FIRST_SHOWN`` frames, then one of twice as many; the result has three times as many.

    Goes on once the test has made a file named ``proceed``.
    """
    for count, (file, proceed) in enumerate((("partial_track.npz", "second"), ("partial_second.npz", "end")), 1):
        save_track(_track(spec, count * FIRST_SHOWN), folder / file)
        on_partial(file)
        while not (folder / proceed).exists():
            if should_cancel():
                raise Cancelled
            time.sleep(0.005)
    save_track(_track(spec, 3 * FIRST_SHOWN), folder / "track.npz")
    write_atomic(folder / "report.json", b'{"whole": true}')


def _track(spec: TrackJob, frames: int) -> Track:
    """A person who smiles more and more, tracked in so many frames."""
    head = load_head(spec.head)
    camera = CameraTrack(
        name="camera",
        footage=spec.views[0].footage,
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=frames,
        footage_rotation=0,
        image_size=(640, 480),
        focal_px=np.full(frames, 800.0),
        principal_point=np.array([320.0, 240.0]),
        world_to_camera=np.tile(np.eye(3, 4), (frames, 1, 1)),
    )
    rising = np.linspace(0, 1, frames, dtype=np.float32)[:, None]
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=np.zeros(len(head.shape_basis), np.float32),
        expression=np.repeat(rising, len(head.expression_names), axis=1),
        head_rotation=np.tile([np.pi, 0.0, 0.0], (frames, 1)),
        head_translation=np.tile([0.0, 0.0, 0.6], (frames, 1)),
        gaze=np.zeros((frames, 2, 2), np.float32),
        cameras=(camera,),
        frames=np.arange(1, frames + 1),
        scene_frames=np.arange(1.0, frames + 1),
        times=np.arange(frames) / 25,
        frame_rate=25.0,
        tracked=np.ones(frames, bool),
        reprojection_error_percent_iod=np.full(frames, 0.9, np.float32),
    )


def rambling(spec: TrackJob, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write between the events what is none: torn lines, unknown events, wrong fields, files of elsewhere."""
    job = folder.name
    nonsense = [
        b"\xff\x00",
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"type": "Exited"}',
        b'{"type": ["Done"]}',
        b'{"type": "Dreamt", "job": "%s"}' % job.encode(),
        b'{"type": "Done"}',
        b'{"type": "Progressed", "job": "%s", "stage": 3}' % job.encode(),
        b'{"type": "PartialResult", "job": "%s", "file": "../../partial_track.npz"}' % job.encode(),
        b'{"type": "PartialResult", "job": "%s", "file": "track.npz"}' % job.encode(),
    ]
    for descriptor in _pipes_but_stdin():
        os.write(descriptor, b"\n".join(nonsense) + b"\n\n")
    quick(spec, folder, on_progress, should_cancel)


def _pipes_but_stdin() -> list[int]:
    """The worker's own way to its backend, which it keeps where no library finds it by chance."""
    numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir() if path.name not in ("0", "1", "2")]
    return [number for number in numbers if _is_written_pipe(number)]


def _is_written_pipe(number: int) -> bool:
    with contextlib.suppress(OSError):
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        return stat.S_ISFIFO(os.fstat(number).st_mode) and flags & os.O_ACCMODE == os.O_WRONLY
    return False


def noisy(spec: TrackJob, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Print where events travel, as libraries do, in Python and below it."""
    print('{"event": "done", "job": "nobody"}', flush=True)
    os.write(1, b"not json\n")
    sys.stdout.flush()
    quick(spec, folder, on_progress, should_cancel)
