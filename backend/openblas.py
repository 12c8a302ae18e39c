"""What numeric libraries, OpenBLAS above all, read from the environment when they are loaded. Loads none of them."""

from __future__ import annotations

import os
from pathlib import Path

SLEEPING = {
    # torch's threads wait for each other by spinning, which made a fit 20 times slower on a machine that was busy with
    # something else (Blender, say); sleeping ones do not. OpenBLAS does the same, and its matrices here are small.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
}
KERNELS = (
    ("SkylakeX", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("Haswell", {"avx2", "fma"}),
)
"""OpenBLAS's names of kernels, the widest first, and what of a processor each needs."""
CPUINFO = Path("/proc/cpuinfo")
MOST_BYTES = 1 << 16
"""Of ``CPUINFO``: all about its first processor."""


def let_threads_sleep() -> None:
    """Set ``SLEEPING`` for this process where the user's own variables do not say otherwise; before numpy is loaded."""
    for variable, value in SLEEPING.items():
        os.environ.setdefault(variable, value)


def choose_kernels(cpuinfo: Path = CPUINFO) -> None:
    """Have OpenBLAS use the widest vectors that the processor has, where the user's own variable does not say
    otherwise; before numpy is loaded. On Linux only: elsewhere nothing is chosen.

    Numpy 1.26's OpenBLAS is of 2023, takes newer processors for one of 2004, and is then four times slower: a product
    of 900² takes 103 ms of such a Xeon, 24 with this.
    """
    try:
        with cpuinfo.open("rb") as file:
            lines = file.read(MOST_BYTES).decode("ascii", "replace").splitlines()
    except OSError:
        return
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
    for name, needed in KERNELS:
        if needed <= flags:
            os.environ.setdefault("OPENBLAS_CORETYPE", name)
            return
