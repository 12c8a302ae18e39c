"""Jobs of several clients while server and worker are killed at random: ``python -m tests.soak.kills``.

The same jobs run twice, undisturbed and disturbed. Every job must end once, with the same result to the bit, and none
may be submitted twice; what the kills cost is told. ``--clips`` names a folder of real clips, which the real pipeline
then tracks; without it a resumable walk of numbers is the work (``runners.walk``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from backend.client.connection import Client
from backend.errors import UserError
from backend.server.process import own_group
from protocol.messages import JobState, TrackJob, ViewSpec
from tests.soak.runners import STEPS

REAL = "backend.pipeline.runners:run_job"
WALK = "tests.soak.runners:walk"
COMPARED = ("track.npz", "alignments.npz")


@dataclass
class Figures:
    """What a run came to; ``results`` are the arrays of each job's files by its name."""

    seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=lambda: {"server": 0, "worker": 0})
    states: list[str] = field(default_factory=list)
    folders: int = 0
    results: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Supervised:
    """A backend that is started again whenever it has ended, as a service manager does."""

    def __init__(self, jobs: Path, runner: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._command = [sys.executable, "-m", "tests.soak.serve", str(jobs), self.endpoint, runner]
        self._log = log.open("ab")
        self._stopping = False
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def kill(self, whom: str) -> bool:
        """SIGKILL the server or its worker; False where there is none at the moment."""
        with contextlib.suppress(psutil.Error):
            server = psutil.Process(self._process.pid)
            workers = [child for child in server.children() if "backend.server.worker" in child.cmdline()]
            victims = [server] if whom == "server" else workers
            for victim in victims[:1]:
                victim.kill()
                return True
        return False

    def stop(self) -> None:
        """End it for good."""
        self._stopping = True
        self._process.send_signal(signal.SIGTERM)
        self._thread.join()
        self._log.close()

    def _start(self) -> subprocess.Popen[bytes]:
        # in a session of its own, as Blender starts it: Linux shares the processors between sessions first
        return subprocess.Popen(self._command, stdout=self._log, stderr=self._log, **own_group(sys.platform))

    def _watch(self) -> None:
        while True:
            self._process.wait()
            if self._stopping:
                return
            self._process = self._start()


@contextlib.contextmanager
def supervised(jobs: Path, runner: str, log: Path) -> Iterator[Supervised]:
    """A supervised backend that listens."""
    backend = Supervised(jobs, runner, log)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                Client(backend.endpoint).close()
                break
            except UserError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield backend
    finally:
        backend.stop()


def run(specs: Sequence[TrackJob], clients: int, kills: int, seconds: float, runner: str, folder: Path) -> Figures:
    """Have clients submit the jobs while a backend is killed so many times over about ``seconds``."""
    figures, done = Figures(), threading.Event()
    jobs = folder / "jobs"
    with supervised(jobs, runner, folder / "backend.log") as backend:
        killer = threading.Thread(target=_kill, args=(backend, kills, seconds, done, figures))
        started = time.monotonic()
        killer.start()
        with ThreadPoolExecutor(clients) as pool:
            shares = [specs[number::clients] for number in range(clients)]
            for outcome in pool.map(lambda share: _client(backend.endpoint, jobs, share), shares):
                figures.results |= outcome[0]
                figures.problems += outcome[1]
        figures.seconds = time.monotonic() - started
        done.set()
        killer.join()
        with Client(backend.endpoint) as client:
            listed = client.jobs(200)
        figures.states = [str(status.state) for status in listed]
    figures.folders = sum(1 for entry in jobs.iterdir() if (entry / "spec.json").is_file())
    return figures


def _client(endpoint: str, jobs: Path, specs: Sequence[TrackJob]) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """One client's jobs, one after the other, through one connection."""
    results: dict[str, dict[str, np.ndarray]] = {}
    problems = []
    with Client(endpoint, timeout=120) as client:
        for spec in specs:
            try:
                job_id = _finished(client, spec)
            except UserError as error:
                problems.append(f"{spec.name}: {error}")
                continue
            results[spec.name] = _arrays(jobs / job_id)
    return results, problems


def _finished(client: Client, spec: TrackJob) -> str:
    job = client.submit(spec)
    status = client.wait(job.job_id)
    if status.state is not JobState.DONE:
        raise UserError("not_done", f"{status.state}: {status.problem}")
    return job.job_id


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for name in COMPARED:
        if (folder / name).is_file():
            with np.load(folder / name, allow_pickle=False) as file:
                arrays |= {f"{name}/{key}": _lasting(file[key]) if key == "header" else file[key] for key in file.files}
    return arrays


def _lasting(header: np.ndarray) -> np.ndarray:
    """A track's header without the seconds that it took."""
    fields = json.loads(header.tobytes())
    fields["provenance"].pop("seconds")
    return np.frombuffer(json.dumps(fields).encode(), np.uint8)


def _kill(backend: Supervised, kills: int, seconds: float, done: threading.Event, figures: Figures) -> None:
    random_numbers = random.Random(16)
    for _ in range(kills):
        if done.wait(random_numbers.uniform(0.4, 1.6) * seconds / kills):
            return
        whom = random_numbers.choice(("server", "worker"))
        if not backend.kill(whom):
            whom = "server"
            if not backend.kill(whom):
                continue
        figures.kills[whom] += 1


def different(one: Figures, other: Figures) -> list[str]:
    """The jobs whose results are not the same to the bit."""
    apart = []
    for name in sorted(one.results.keys() | other.results.keys()):
        mine, theirs = one.results.get(name, {}), other.results.get(name, {})
        keys = sorted(mine.keys() | theirs.keys())
        unlike = [key for key in keys if key not in mine or key not in theirs or not _same(mine[key], theirs[key])]
        if unlike or not keys:
            apart.append(f"{name}: {', '.join(unlike) or 'no result'}")
    return apart


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def specs_of(count: int, clips: Path | None, frames: int) -> list[TrackJob]:
    """As many jobs, all with names of their own; of real clips parts that begin at different frames."""
    if clips is None:
        return [TrackJob((ViewSpec(f"/walk-{number}.mp4"),), name=f"walk-{number}") for number in range(count)]
    files = sorted(path.absolute() for path in clips.iterdir() if path.suffix in (".mp4", ".mpg"))
    jobs = []
    for number in range(count):
        first = 1 + number // len(files) % 10
        view = ViewSpec(str(files[number % len(files)]))
        jobs.append(TrackJob((view,), frames=(first, first + frames - 1), name=f"part-{number}"))
    return jobs


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clips", type=Path, default=None)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a walk, undisturbed")
    parser.add_argument("--keep", type=Path, default=None, help="leave folders and logs here")
    options = parser.parse_args()
    specs = specs_of(options.jobs, options.clips, options.frames)
    runner = WALK if options.clips is None else REAL
    with TemporaryDirectory() as temporary:
        folder = options.keep or temporary
        os.environ["FLOWFACE_SOAK_SECONDS"] = str(options.seconds / STEPS)
        os.environ["FLOWFACE_STATE_DIR"] = f"{folder}/state"
        runs = []
        for name, kills in (("undisturbed", 0), ("disturbed", options.kills)):
            place = Path(folder) / name
            place.mkdir(parents=True)
            seconds = 1.1 * runs[0].seconds if runs else 1.0
            figures = run(specs, options.clients, kills, seconds, runner, place)
            runs.append(figures)
            ended = ", ".join(f"{figures.states.count(state)} {state}" for state in sorted(set(figures.states)))
            print(
                f"{name}: {len(specs)} jobs of {options.clients} clients in {figures.seconds:.0f} s, {ended}; "
                f"{figures.folders} job folders; kills: {figures.kills}",
                flush=True,
            )
            for problem in figures.problems:
                print(f"  {problem}")
    undisturbed, disturbed = runs
    lost = disturbed.seconds / undisturbed.seconds - 1
    apart = different(undisturbed, disturbed)
    print(f"results that differ: {len(apart)} {apart[:5]}; time lost to kills: {lost:.1%} of the undisturbed total")


if __name__ == "__main__":
    main()
