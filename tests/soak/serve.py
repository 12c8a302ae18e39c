"""A backend with a runner of choice, as a process: ``python -m tests.soak.serve JOBS ENDPOINT RUNNER``."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from backend.server.app import Server


def main() -> None:
    """Serve until a signal."""
    jobs, endpoint, runner = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    server = Server(Path(jobs), endpoint, runner=runner, device="cpu")
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.run()


if __name__ == "__main__":
    main()
