"""``runners`` in a worker that is never ready where the file that ``SLOW_TO_START`` names is not there by its start."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.backend.server.runners import run as run

if not Path(os.environ["SLOW_TO_START"]).exists():
    time.sleep(1000)
