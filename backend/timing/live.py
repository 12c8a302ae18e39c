"""The run of ``flowface benchmark live``: a video played as live, timed, and compared with its offline solve."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import TimeRemainingColumn
from rich.table import Table

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.terminal.progress_bar import progress_bar

if TYPE_CHECKING:
    from backend.fitting import FitResult
    from backend.live.driver import Posed
    from backend.live.person import Person
    from backend.observations import ViewAlignment
    from protocol.live import LiveCommand, LivePose
    from protocol.message import Message

F64 = NDArray[np.float64]
MOST_FRAMES = 900
"""Of a video that are solved offline, half a minute: the comparison needs no more, and the solve no more memory."""
MOST_COMPARED = 3000
"""Poses whose weights are kept: 100 seconds, 0.6 MB."""
ALONE = 100
"""Pictures that each stage is timed on by itself."""
MINUTE = 60.0


@dataclass(frozen=True)
class LiveBenchmarkOptions:
    """``minutes`` to play the video for, over and over; 0 plays it once."""

    video: Path
    out: Path
    minutes: float = 0.0
    head: str = "open"


@dataclass
class _Heard:
    """An outlet that lets all pass, and what was measured at each pose."""

    numbers: list[int] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    weights: list[NDArray[np.float32]] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)

    def send(self, message: Message) -> None:
        """See ``Outlet``."""

    def command(self) -> LiveCommand | None:
        """See ``Outlet``."""
        return None

    def pose(self, pose: LivePose, posed: Posed | None) -> None:
        """A pose was sent; ``posed`` None where no face was seen."""
        import psutil  # type: ignore[import-untyped]

        now = time.perf_counter()
        self.numbers.append(pose.number)
        self.ages.append(pose.age)
        self.at.append(now)
        self.cpu.append(time.process_time())
        if len(self.weights) < MOST_COMPARED:
            self.weights.append(pose.expression if posed is not None else np.full_like(pose.expression, np.nan))
        if not self.resident or now - self.resident[-1][0] > 5:
            self.resident.append((now, psutil.Process().memory_info().rss))


def benchmark_live(options: LiveBenchmarkOptions, console: Console | None = None) -> dict[str, Any]:
    """Measure; writes ``live.json`` into ``options.out``, prints a table, returns the JSON.

    Raises UserError: ``output_unwritable``, and what reading, aligning and solving the video raise.
    """
    from backend.footage import probe
    from backend.live.session import FaceSession, SessionOptions
    from backend.live.sources import play_video
    from backend.timing.machine import machine

    console = console or Console(stderr=True)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"Results cannot be written to {options.out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    with console.status("solving the video offline"):
        view, fit, person = _offline(options)
    with console.status("timing each stage by itself"):
        alone = _alone(options.video, person)
    identity = options.out / "identity"
    _save_identity(person, fit, view, identity)
    heard = _Heard()
    seconds = options.minutes * MINUTE or None
    source = play_video(options.video, loop=seconds is not None)
    session = FaceSession(
        source, SessionOptions(head=options.head, identity=identity, seconds=seconds), on_pose=heard.pose
    )
    with progress_bar(console, TimeRemainingColumn()) as progress:
        progress.add_task(f"playing {options.video.name}", total=None)
        session.run(heard)
    results = {
        "machine": machine(),
        "video": str(options.video),
        "size": list(view.image_size),
        "frame_rate": view.frame_rate,
        "cpu_ms_alone": alone,
        **_played(heard, session.meter.dropped),
        "weights_off_offline": _agreement(heard, fit, probe(options.video).frame_count),
        "minutes": options.minutes,
    }
    write_atomic(options.out / "live.json", json.dumps(results, indent=1).encode(), public=True)
    shown = Console()
    shown.print(_table(results))
    shown.print(f"figures: {options.out / 'live.json'}", markup=False)
    return results


def _offline(options: LiveBenchmarkOptions) -> tuple[ViewAlignment, FitResult, Person]:
    from backend.alignment.align_footage import align_footage
    from backend.alignment.finder import face_finder
    from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
    from backend.fitting import View
    from backend.footage import open_footage
    from backend.head_model.library import load_head
    from backend.live.person import Person
    from backend.solving import solve_take

    head = load_head(options.head)
    footage = open_footage(options.video, (1, MOST_FRAMES))
    view = align_footage(footage, find_aligner(DEFAULT_ALIGNER, head), finder=face_finder())
    fit = solve_take(head, [View(view)]).fit
    camera = fit.cameras[0]
    person = Person(
        head=head,
        identity=fit.identity.astype(np.float32),
        focal_px=camera.focal_px,
        principal_point=camera.principal_point,
        image_size=view.image_size,
        deformation=np.zeros((0, 3), np.float32),
        action_corrections=fit.action_corrections,
    )
    return view, fit, person


def _save_identity(person: Person, fit: FitResult, view: ViewAlignment, folder: Path) -> None:
    """A take of one pose, with the alignment that tells what the person looks like at rest."""
    from scipy.spatial.transform import Rotation

    from backend.live.takes import stacked, track_of
    from backend.observations.io import save_alignment
    from backend.track.io import save_track

    folder.mkdir(exist_ok=True)
    save_alignment(view, folder / "alignments.npz")
    turn = Rotation.from_matrix(fit.head_rotation[0]).as_rotvec()
    pose = (0.0, True, fit.expression[0], turn, fit.head_translation[0], fit.gaze[0])
    save_track(track_of(person, stacked([pose]), "offline"), folder / "track.npz")


def _alone(video: Path, person: Person) -> dict[str, float]:
    """CPU milliseconds of a picture, of all threads, each stage by itself."""
    from itertools import islice

    from backend.alignment.finder import face_finder
    from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
    from backend.footage import open_footage
    from backend.live.driver import FaceDriver
    from backend.live.follow import FaceFollower

    began = time.process_time()
    frames = list(islice(open_footage(video), ALONE))
    decode = time.process_time() - began
    follower = FaceFollower(find_aligner(DEFAULT_ALIGNER, person.head), face_finder())
    follower.look(frames[0].image)
    began = time.process_time()
    seen = [follower.look(frame.image) for frame in frames]
    landmarks = time.process_time() - began
    driver = FaceDriver(person)
    began = time.process_time()
    for frame, found in zip(frames, seen, strict=True):
        if found is not None:
            driver.solve(found, frame.time)
    solve = time.process_time() - began
    each = 1e3 / len(frames)
    return {"decode": decode * each, "landmarks": landmarks * each, "solve and filters": solve * each}


def _played(heard: _Heard, dropped: int) -> dict[str, Any]:
    if len(heard.at) < 2:
        raise UserError(ErrorCode.NO_FACE, "No face was seen in the video.", "Choose a video that shows a face.")
    ages, at = 1e3 * np.array(heard.ages), np.array(heard.at)
    first, last = at < at[0] + MINUTE, at > at[-1] - MINUTE
    return {
        "poses": len(at),
        "dropped": dropped,
        "poses_a_second": (len(at) - 1) / (at[-1] - at[0]),
        "age_ms_median": float(np.median(ages)),
        "age_ms_p95": float(np.quantile(ages, 0.95)),
        "age_ms_first_minute": float(np.median(ages[first])),
        "age_ms_last_minute": float(np.median(ages[last])),
        "cpu_ms_a_pose": 1e3 * (heard.cpu[-1] - heard.cpu[0]) / (len(at) - 1),
        "resident_mb": [[round(t - at[0], 1), round(bytes / 2**20, 1)] for t, bytes in heard.resident],
    }


def _agreement(heard: _Heard, fit: FitResult, frames: int) -> dict[str, float]:
    """How far the played weights are off the offline ones of the same pictures of a video of ``frames``."""
    live = np.array(heard.weights, np.float64)
    index = (np.array(heard.numbers[: len(live)], np.int64) - 1) % frames
    known = np.isfinite(live).all(axis=1) & (index < len(fit.expression))
    own = fit.expression[np.minimum(index, len(fit.expression) - 1)]
    off = np.abs(live - own)[known]
    active = own[known] > 0.1
    return {
        "mean": float(off.mean()),
        "p95": float(np.quantile(off, 0.95)),
        "mean_of_active": float(off[active].mean()) if active.any() else float("nan"),
        "poses": int(known.sum()),
    }


def _table(results: dict[str, Any]) -> Table:
    width, height = results["size"]
    title = f"live from {Path(results['video']).name}, {width} × {height} at {results['frame_rate']:.1f} a second"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_row("poses a second", f"{results['poses_a_second']:.1f}")
    table.add_row("pictures dropped", f"{results['dropped']} of {results['poses'] + results['dropped']}")
    table.add_row("picture to pose, median / p95", f"{results['age_ms_median']:.0f} / {results['age_ms_p95']:.0f} ms")
    for name, milliseconds in results["cpu_ms_alone"].items():
        table.add_row(f"CPU of {name}", f"{milliseconds:.1f} ms")
    table.add_row("CPU of a pose, all of it", f"{results['cpu_ms_a_pose']:.1f} ms")
    off = results["weights_off_offline"]
    table.add_row("weights off the offline solve", f"{off['mean']:.4f}, of active ones {off['mean_of_active']:.4f}")
    memory = results["resident_mb"]
    table.add_row("memory, first and last", f"{memory[0][1]:.0f}, {memory[-1][1]:.0f} MB")
    first, last = results["age_ms_first_minute"], results["age_ms_last_minute"]
    table.add_row("picture to pose, first and last minute", f"{first:.0f}, {last:.0f} ms")
    return table
