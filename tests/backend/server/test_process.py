"""Processes are started, ended and explained as their system wants it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from backend.server.process import CREATE_NEW_PROCESS_GROUP, ending_signal, exit_in_words, own_group


def test_a_child_has_a_group_of_its_own_on_every_system() -> None:
    assert own_group("linux") == own_group("darwin") == {"start_new_session": True}
    assert own_group("win32") == {"creationflags": CREATE_NEW_PROCESS_GROUP}


def test_a_backend_is_asked_to_end_by_a_signal_that_it_can_hear() -> None:
    assert ending_signal("linux") == signal.SIGTERM
    assert ending_signal("win32") == 1, "CTRL_BREAK_EVENT, which a Python hears as SIGBREAK"


@pytest.mark.parametrize(
    ("code", "system", "words"),
    [
        (3, "linux", "ended with status 3"),
        (-9, "linux", "was ended by SIGKILL"),
        (-200, "linux", "was ended by signal 200"),
        (3221225477, "win32", "was ended by Windows (0xC0000005)"),
        (1, "win32", "ended with status 1"),
    ],
)
def test_an_end_is_told_in_words(code: int, system: str, words: str) -> None:
    assert exit_in_words(code, system) == words


def test_a_child_of_its_own_group_ends_when_asked_to() -> None:
    code = "import sys, time; print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **own_group(sys.platform))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(ending_signal(sys.platform))
    assert process.wait(timeout=20) != 0
    process.stdout.close()
