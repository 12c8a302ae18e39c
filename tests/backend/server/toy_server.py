"""``python -m tests.backend.server.toy_server JOBS_DIR``: a backend with ``runners`` to be killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from backend.server.app import Server


def main() -> None:
    """Serve until SIGTERM; prints endpoint and process id when ready, as one JSON line."""
    server = Server(Path(sys.argv[1]), "tcp://127.0.0.1:*", runner="tests.backend.server.runners:run")
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    print(json.dumps({"endpoint": server.endpoint, "pid": os.getpid()}), flush=True)
    server.run()


if __name__ == "__main__":
    main()
