"""The command line at its edges: nobody reads its output, it is interrupted while it loads, a package is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WHILE_LOADING = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise {error}

sys.meta_path.insert(0, Finder())
from backend.entry import main
main()
"""


def run(*command, stdout=subprocess.PIPE):
    return subprocess.run([sys.executable, *command], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch, repo_root):
    """Processes import this checkout's packages."""
    monkeypatch.setenv("PYTHONPATH", str(repo_root))


@pytest.mark.parametrize("arguments", [("--version",), ("check", "--json")])
def test_an_output_that_nobody_reads_ends_a_command_without_a_word(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("-m", "backend.entry", *arguments, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_ctrl_c_while_it_loads_ends_it_without_a_word():
    done = run("-c", WHILE_LOADING.format(error="KeyboardInterrupt"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_package_that_is_missing_is_named():
    done = run("-c", WHILE_LOADING.format(error='ImportError("No module named typer")'))
    words = "flowface: FlowFace's packages are not whole: No module named typer.\n  Install FlowFace again.\n"
    assert (done.returncode, done.stderr) == (1, words)


MULTIPLYING = """
import os, numpy as np
several = np.ones((400, 400))
several @ several
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or len(os.sched_getaffinity(0)) < 2, reason="counts Linux's threads"
)
@pytest.mark.parametrize(
    ("command", "own", "threads"),
    [(["live"], None, 1), (["benchmark", "live"], None, 1), (["live"], "2", 2), (["track"], None, 2)],
)
def test_no_thread_of_openblas_spins_beside_a_live_session(command, own, threads, monkeypatch):
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    if own is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", own)
    starting = WHILE_LOADING.format(error='ImportError("loading ends here")').replace("main()", "")
    begun = f"{starting}\nsys.argv = {['flowface', *command]}\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    done = run("-c", begun + MULTIPLYING)
    assert min(2, int(done.stdout)) == threads, done.stderr
