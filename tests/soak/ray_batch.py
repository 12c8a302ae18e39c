"""Rehearsal: many clips on a Ray cluster of two machines, one of which is killed: ``python -m tests.soak.ray_batch``.

Not run in CI. It needs the extra ``ray``. Without ``--real`` the clips are toys that take a moment each; the cluster is
Ray's own for tests: two machines' daemons, real processes and sockets, on this machine. Ends with 1 where a clip is not
done, or was done twice.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from backend.client.batch.clips import read_clips
from backend.client.batch.ledger import ClipRecord, ClipState, Ledger
from backend.client.batch.node import RUNNER
from backend.client.batch.ray_cluster import RayCluster
from backend.client.batch.run import Batch, BatchRun
from backend.client.request import TrackRequest
from protocol.options import SolveOptions
from tests.backend.client.batch.two_machines import TOYS, TwoMachines


def main() -> int:
    """Run the rehearsal and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a toy")
    parser.add_argument("--cpus", type=int, default=2, help="of each machine")
    parser.add_argument("--client", action="store_true", help="come from outside, by Ray's client")
    parser.add_argument("--send", action="store_true", help="send footage and results as where no folder is shared")
    parser.add_argument("--real", type=Path, help="a clip whose first frames are tracked in earnest, again and again")
    parser.add_argument("--frames", type=int, default=8, help="of a real clip")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ray-batch-"))
    try:
        return rehearse(asked, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rehearse(asked: argparse.Namespace, folder: Path) -> int:
    """Track the clips below ``folder``; 0 where all are done, once."""
    (folder / "clips").mkdir()
    for number in range(asked.clips):
        clip = folder / "clips" / f"clip{number:04d}.mp4"
        if asked.real:
            clip.symlink_to(asked.real.absolute())
        else:
            clip.write_text(str(asked.seconds))
    port = _free_port() if asked.client else None
    started = time.monotonic()
    with TwoMachines(folder / "diary", asked.cpus, port) as machines:
        print(f"cluster of two machines: {time.monotonic() - started:.1f} s", flush=True)
        ended: list[ClipRecord] = []
        killed: list[float] = []

        def on_record(record: ClipRecord) -> None:
            ended.append(record)
            if not killed and len(ended) == max(1, asked.clips // 3):
                machines.kill_one()
                killed.append(time.monotonic())
                print(f"one machine is killed after {len(ended)} clips", flush=True)

        defaults = TrackRequest(
            (),
            folder / "out",
            frames=(1, asked.frames) if asked.real else None,
            options=SolveOptions(texture=False, personal_actions=False) if asked.real else SolveOptions(),
        )
        clips = read_clips(folder / "clips", defaults)
        address = f"ray://127.0.0.1:{port}" if port else "ray://auto"
        cluster = RayCluster(address, share=not asked.send, runner=RUNNER if asked.real else TOYS)
        began = time.monotonic()
        with Ledger(folder / "out") as ledger:
            run = BatchRun(Batch(clips, folder / "out"), ledger, on_record=on_record)
            run.track(cluster)
        seconds = time.monotonic() - began
        begun = Counter(machines.diary())
    return _judge(asked, folder / "out", run.records, ended, begun, seconds)


def _judge(
    asked: argparse.Namespace,
    out: Path,
    records: dict[str, ClipRecord],
    ended: list[ClipRecord],
    begun: Counter[str],
    seconds: float,
) -> int:
    done = Counter(record.name for record in ended if record.state is ClipState.DONE)
    lost = sum("machine that tracked it is gone" in record.problem for record in ended)
    there = {path.name for path in out.iterdir() if (path / "report.json").is_file()}
    twice = sum(count > 1 for count in done.values())
    failed = [record for record in records.values() if record.state is not ClipState.DONE]
    print(f"clips {asked.clips}: done {len(done)}, done twice {twice}, failed {len(failed)}, {seconds:.1f} s")
    print(f"results there {len(there)}; attempts lost with the machine {lost}, in all {_attempts(records)}")
    if begun:
        print(f"work begun {begun.total()} times, on {sum(count > 1 for count in begun.values())} clips more than once")
    for record in failed[:10]:
        print(f"{record.name}: {record.problem}")
    return 0 if len(done) == len(there) == asked.clips and not twice else 1


def _attempts(records: dict[str, ClipRecord]) -> int:
    return sum(record.attempts for record in records.values())


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
