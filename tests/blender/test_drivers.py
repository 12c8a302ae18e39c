"""A person's driver learnt from the panel: by the real command line, and what is said where that cannot be."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from backend.appearance.storage import load_driver
from backend.export.blender import take_result
from backend.head_model.library import load_head
from backend.track.io import save_track
from blender_addon import preferences, session
from blender_addon.backend_places import Launch
from blender_addon.live_capture import drivers, properties, running
from blender_addon.live_process import Source
from blender_addon.operators import live_capture
from blender_addon.scene.build import build_take
from blender_addon.vendor import messages as m
from tests.backend.appearance.rendered import rendered_take
from tests.backend.server.conftest import REPOSITORY

from .conftest import wait_until
from .runners import performance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the program that stands in is a script of a Unix shell"),
]
LONGEST = 300.0
"""Seconds that a driver may take: a hundred steps by the paper's losses."""
REAL = """#!/bin/sh
cd {repository} && exec env PYTHONPATH={repository} {python} -m backend.entry "$@"
"""


@pytest.fixture(autouse=True)
def here(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: ARG001
    """The jobs folder of a backend on this machine, whose program is the real one."""
    program = tmp_path / "flowface"
    program.write_text(REAL.format(repository=REPOSITORY, python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(preferences._Defaults, "environment", str(program))
    jobs = tmp_path / "jobs"
    session.current().storage = m.StorageReply(str(jobs), 1, 0, 0)
    yield jobs
    drivers.forget()
    running.forget()


def learn() -> None:
    assert bpy.ops.flowface.learn_driver() == {"FINISHED"}, running.now.notice
    assert not bpy.ops.flowface.learn_driver.poll(), "one at a time"
    deadline = time.monotonic() + LONGEST
    while drivers.current() is not None:
        assert time.monotonic() < deadline, drivers.current().stage  # type: ignore[union-attr]
        drivers.step()
        time.sleep(0.05)


def test_a_driver_is_learnt_chosen_and_asked_for(here: Path) -> None:
    track = rendered_take(here / "job1")
    build_take(bpy.context, take_result(track, load_head("open"), "Ada / 1", {}), job="job1")
    learn()
    assert running.now.notice is not None and not running.now.notice.is_error, running.now.notice
    assert "is learnt. On the take's last fifth its points lie" in running.now.notice.text
    chosen = properties.of(bpy.context.scene)
    assert Path(chosen.driver).parent == here.parent / drivers.FOLDER
    assert load_driver(Path(chosen.driver)).person.head_id == "open"
    chosen.source = properties.CAMERA
    wanted = Source(("--camera", "", "--driver", chosen.driver), "the first camera", calibrates=False)
    assert live_capture._source(chosen) == wanted
    Path(chosen.driver).unlink()
    assert bpy.ops.flowface.live_capture_start() == {"CANCELLED"}
    assert running.now.notice.text.startswith(f"There is no driver at {chosen.driver}")


def test_what_the_command_line_refuses_is_said_in_the_panel(here: Path) -> None:
    track = performance("clip.mp4")  # of ten frames
    (here / "job2").mkdir(parents=True)
    save_track(track, here / "job2" / "track.npz")
    build_take(bpy.context, take_result(track, load_head("open"), "short", {}), job="job2")
    learn()
    assert running.now.notice is not None and running.now.notice.is_error
    assert running.now.notice.text.startswith("The take shows the face in 8 frames to learn from, and 30 are needed.")
    assert properties.of(bpy.context.scene).driver == ""


def test_a_driver_that_is_called_off_leaves_no_file(here: Path) -> None:
    track = rendered_take(here / "job3")
    build_take(bpy.context, take_result(track, load_head("open"), "Ada", {}), job="job3")
    assert bpy.ops.flowface.learn_driver() == {"FINISHED"}
    bpy.ops.flowface.cancel_driver()
    wait_until(lambda: drivers.current() is None, drivers.step)
    assert running.now.notice is not None and running.now.notice.text.startswith("Cancelled: no driver was written.")
    assert not (here.parent / drivers.FOLDER).exists()


def test_nothing_can_be_learnt_without_a_take_or_its_files() -> None:
    assert drivers.why_not(None) == "Track a take of the person first"
    take = build_take(bpy.context, take_result(performance("a.mp4"), load_head("open"), "Ada", {}))
    assert drivers.why_not(take) == "The version of the take that is shown was not tracked by a backend"
    session.current().storage = None
    take = build_take(bpy.context, take_result(performance("b.mp4"), load_head("open"), "Eve", {}), job="job4")
    assert drivers.why_not(take).startswith("Start the backend first")


def test_the_command_is_the_programs_own_or_pythons() -> None:
    assert Launch(("flowface", "serve")).driver_command == ("flowface", "driver", "train")
    python = Launch(("python", "-m", "backend.server"))
    assert python.driver_command == ("python", "-m", "backend.entry", "driver", "train")
