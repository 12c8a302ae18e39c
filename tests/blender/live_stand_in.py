"""A stand-in for ``flowface live``: what Blender starts is a small program, the session itself runs in a thread here.

Door, session and packets are the real ones; only the start of a Python process is saved.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from backend.live.door import Door
from backend.live.live_link_receiver import LiveLinkReceiver
from backend.live.live_link_session import LiveLinkSession
from backend.live.types import Session

PROGRAM = """#!/bin/sh
echo "$@" > {folder}/wanted.part && mv {folder}/wanted.part {folder}/wanted
while [ ! -e {folder}/ready ]; do sleep 0.02; done
cat {folder}/ready
while [ ! -e {folder}/ended ]; do sleep 0.05; done
exit $(cat {folder}/ended)
"""


class StandIn:
    """Serves one session for the program ``program``, from the moment it is started until its session ends."""

    def __init__(self, folder: Path, make: Callable[[], Session] | None = None) -> None:
        self.folder = folder
        self.receiver = LiveLinkReceiver(0)
        self._make = make or (lambda: LiveLinkSession(self.receiver))
        self.program = folder / "flowface"
        self.program.write_text(PROGRAM.format(folder=folder))
        self.program.chmod(0o755)
        self.options: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20.0)
        self.crash(0)
        self.receiver.close()
        assert not self._thread.is_alive()

    def crash(self, code: int) -> None:
        """Let the program end with an exit code."""
        (self.folder / "ended.part").write_text(f"{code}\n")
        (self.folder / "ended.part").rename(self.folder / "ended")

    def _run(self) -> None:
        wanted = self.folder / "wanted"
        while not wanted.exists():
            if self._over.wait(0.01):
                return
        self.options = wanted.read_text().split()
        door = Door(self.options[self.options.index("--client-key") + 1])
        assert json.loads(door.ready_line)["live"]
        (self.folder / "ready.part").write_text(f"{door.ready_line}\n")
        (self.folder / "ready.part").rename(self.folder / "ready")
        self._make().run(door)
        door.close()
        time.sleep(0.01)
        if not (self.folder / "ended").exists():
            self.crash(0)
