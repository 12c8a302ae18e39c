"""A flood of wrong messages from somebody who has the key: ``python -m tests.soak.fuzz --messages 1000000``.

Tells how much the server's memory grew and how long an honest client waited at worst for its answer meanwhile. What
ends a server is written to ``--corpus``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import msgpack
import psutil
import zmq

from backend.client.connection import Client
from backend.client.handshake import authenticate
from protocol.keys import own_access
from tests.soak.kills import WALK, supervised
from tests.soak.mutate import Mutator

AHEAD = 200
"""Messages sent before one waits for the answer to a well-formed one."""


def flood(endpoint: str, count: int, seed: int, last: Path) -> None:
    """Send wrong messages, each batch ended by a right one whose answer is waited for."""
    if multiprocessing.parent_process() is not None:
        os.setsid()  # a program of its own, which Linux gives no more of the processors than each other one
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    authenticate(socket, own_access())
    socket.connect(endpoint)
    messages = iter(Mutator(seed))
    hello = {"type": "hello", "protocol": 2, "client": "fuzz"}
    for number in range(0, count, AHEAD):
        batch = [next(messages) for _ in range(AHEAD)]
        last.write_bytes(msgpack.packb(batch))
        for frames in batch:
            socket.send_multipart(frames)
        wanted = (1 << 40) + number
        socket.send(msgpack.packb({**hello, "request": wanted}))
        while True:
            if not socket.poll(60_000):
                raise SystemExit(f"no answer after batch {number} of seed {seed}: see {last}")
            if msgpack.unpackb(socket.recv_multipart()[0]).get("request") == wanted:
                break
    context.destroy(linger=0)


def server_process(endpoint: str) -> psutil.Process:
    """The process that listens."""
    with Client(endpoint) as client:
        return psutil.Process(client.welcome.pid)


def main() -> None:
    """Flood, watch, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLOWFACE_STATE_DIR"] = f"{folder}/state"
        place = Path(folder)
        with supervised(place / "jobs", WALK, place / "backend.log") as backend:
            flood(backend.endpoint, 2000, 99, place / "warm")  # what is loaded once is not growth
            process = server_process(backend.endpoint)
            before = peak = process.memory_info().rss
            senders = [
                multiprocessing.Process(
                    target=flood,
                    args=(backend.endpoint, options.messages // options.senders, options.seed + n, place / f"last{n}"),
                )
                for n in range(options.senders)
            ]
            for sender in senders:
                sender.start()
            waits, started = [], time.monotonic()
            with Client(backend.endpoint, timeout=60) as honest:
                honest.heads()  # who asks first waits for the start of a process
                first = time.monotonic() - started
                while any(sender.is_alive() for sender in senders):
                    asked = time.monotonic()
                    honest.heads()
                    waits.append((time.monotonic() - asked, asked - started))
                    peak = max(peak, process.memory_info().rss)
                    time.sleep(0.01)
            seconds = time.monotonic() - started
            alive = process.is_running() and all(sender.exitcode == 0 for sender in senders)
            jobs = sum(1 for _ in (place / "jobs").iterdir())
    waits.sort()
    worst = ", ".join(f"{1000 * wait:.0f} ms at {when:.0f} s" for wait, when in waits[:-7:-1])
    print(
        f"{options.messages} messages in {seconds:.0f} s; the server {'lives' if alive else 'ENDED'}; "
        f"memory {before / 1e6:.0f} MB, at most {(peak - before) / 1e6:.1f} MB more; an honest client was answered in "
        f"{1000 * waits[len(waits) // 2][0]:.1f} ms (median of {len(waits)}), at worst {worst}, "
        f"the very first time {1000 * first:.0f} ms; "
        f"{jobs} jobs were made"
    )


if __name__ == "__main__":
    main()
