"""A backend's log: whatever comes from outside, no event looks like another, and its files stay small."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backend.client.connection import Client
from backend.server.logs import MORE
from backend.server.plain import MAX_LINE, plain, plain_lines
from protocol import messages as m
from tests.backend.server.conftest import REPOSITORY, spec

FORGED = "2026-01-01 00:00:00,000 INFO job 20260101-000000-00000000 done"
HOSTILE = f"a\n{FORGED}\r\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2028\x00b"
EVENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) ")


def test_what_is_no_visible_letter_is_written_as_its_escape():
    shown = plain(HOSTILE)
    assert shown == rf"a\n{FORGED}\r\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2028\x00b"
    assert plain("Gesicht – 顔 “é”") == "Gesicht – 顔 “é”"
    assert plain("\ud800") == r"\ud800"


def test_a_long_text_is_shortened_and_keeps_its_end():
    shown = plain("/" + "x" * 600_000 + "/clip.mp4")
    assert len(shown) < MAX_LINE + 40 and shown.startswith("/xxx") and shown.endswith("xxx/clip.mp4")
    assert len(plain_lines("line\n" * 100_000)) < 300


LOGGING = """
import logging, os, subprocess, sys
from pathlib import Path
from backend.server import logs
logs.MAX_BYTES = 20_000
hostile = sys.argv[3]
with logs.logging_to(logs.LogFormat(sys.argv[1]), Path(sys.argv[2])), logs.about_request(peer=hostile, connection="1"):
    log = logging.getLogger("test")
    log.info("job %s queued: %s", "20260203-040506-0123abcd", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        log.exception("failed")
    os.write(2, hostile.encode() + b"\\n")
    subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write(sys.argv[1])", hostile])
    os.write(2, b"y" * 1_000_000)
    for number in range(int(sys.argv[4])):
        log.info("event %d of many that fill the file", number)
"""


def logged(form, folder, count=0):
    """Standard error of a process that logs hostile text in every way, and the newest file."""
    hostile = HOSTILE.replace("\x00", "")  # which no argument can hold
    command = [sys.executable, "-c", LOGGING, form, str(folder), hostile, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    return done.stderr.decode(), (folder / "backend.log").read_text("utf-8")


def test_lines_for_people_begin_with_their_time_and_nothing_is_forged_into_them(tmp_path):
    told, kept = logged("text", tmp_path)
    assert told == kept
    lines = told.splitlines()
    assert all(EVENT.match(line) or line.startswith(MORE) for line in lines) and all(map(str.isprintable, lines))
    assert not any(line.startswith(FORGED) for line in lines)
    assert any(line.startswith(MORE + "ValueError: a") for line in lines)
    printed = [line for line in lines if " WARNING printed: " in line]
    assert len([line for line in printed if "title" in line]) >= 2 and max(map(len, printed)) < MAX_LINE + 200


def test_maps_for_programs_have_the_job_and_whose_request_it_was(tmp_path):
    told, _ = logged("json", tmp_path)
    events = [json.loads(line) for line in told.splitlines()]
    queued = events[0]
    assert (queued["job"], queued["level"], queued["connection"]) == ("20260203-040506-0123abcd", "INFO", "1")
    assert queued["peer"].startswith("a\\n2026") and queued["message"].isprintable()
    assert any("ValueError: a" in line for event in events for line in event.get("traceback", ()))


def test_the_files_stay_within_their_bounds(tmp_path):
    told, _ = logged("text", tmp_path, 3000)
    files = list(tmp_path.glob("backend.log*"))
    assert len(files) == 3 and all(file.stat().st_size <= 20_000 for file in files)
    assert len(told.splitlines()) > 3000


@pytest.mark.slow
def test_a_backend_logs_its_jobs_with_their_ids_and_clients(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    command = [sys.executable, "-m", "backend.server", "--endpoint", "tcp://127.0.0.1:*", "--log-format", "json"]
    command += ["--jobs-dir", str(tmp_path / "jobs"), "--private"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with Client(json.loads(process.stdout.readline())["endpoint"]) as client:
            job = client.submit(spec("no such clip"))
            client._ask(m.Hello(HOSTILE), m.Welcome)
            client.cancel(job.job_id)
            client.shutdown()
        events = [json.loads(line) for line in process.communicate(timeout=60)[1].splitlines()]
    queued = next(event for event in events if "queued" in event["message"])
    assert queued["job"] == job.job_id and queued["peer"] == "this user" and queued["connection"]
    assert any("says hello" in event["message"] and "\\n2026" in event["message"] for event in events)
    kept = Path(tmp_path / "state" / "logs" / "backend.log").read_text("utf-8")
    assert [json.loads(line) for line in kept.splitlines()] == events
