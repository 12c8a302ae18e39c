"""How numeric libraries' threads wait beside another program that needs the cores, Blender above all.

OpenBLAS and OpenMP read these variables when they are loaded. Loads neither.
"""

from __future__ import annotations

import os

SLEEPING = {
    # torch's threads wait for each other by spinning, which made a fit 20 times slower on a machine that was busy with
    # something else (Blender, say); sleeping ones do not. OpenBLAS does the same, and its matrices here are small.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
}


def let_threads_sleep() -> None:
    """Set ``SLEEPING`` for this process where the user's own variables do not say otherwise; before numpy is loaded."""
    for variable, value in SLEEPING.items():
        os.environ.setdefault(variable, value)
