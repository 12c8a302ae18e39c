"""A person's driver learnt from the panel: by its command line, and what is said where that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from backend.export.blender import take_result
from backend.head_model.library import load_head
from blender_addon import preferences, session
from blender_addon.backend_places import Launch
from blender_addon.live_capture import drivers, properties, running
from blender_addon.live_process import Source
from blender_addon.operators import live_capture
from blender_addon.scene.build import build_take
from blender_addon.vendor import messages as m

from .conftest import wait_until
from .runners import performance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the program that stands in is a script of a Unix shell"),
]
LEARNS = """#!/bin/sh
echo "$@" > {folder}/wanted
echo "looking at the take: 9 of 32"
echo "tuning: 50 of 100"
while [ ! -e {folder}/go ]; do sleep 0.02; done
mkdir -p {folder}/drivers
touch "$5"
echo "On 8 frames, beside the fit:"
echo "  reprojection  2.10 % of the inter-ocular distance, the fit 1.50 % (1.40 times)"
"""
"""What the real one says, which takes a minute: see ``backend.appearance.cli``."""
REFUSES = """#!/bin/sh
echo "looking at the take: 1 of 8"
echo "flowface: The take shows the face in 8 frames." >&2
echo "  Track a longer take." >&2
exit 1
"""


@pytest.fixture(autouse=True)
def here(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: ARG001
    """The jobs folder of a backend on this machine, whose program is a test's."""
    program = tmp_path / "flowface"
    program.touch(0o755)
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(preferences._Defaults, "environment", str(program))
    jobs = tmp_path / "jobs"
    session.current().storage = m.StorageReply(str(jobs), 1, 0, 0)
    yield jobs
    drivers.forget()
    running.forget()


def stand_in(folder: Path) -> None:
    (folder / "flowface").write_text(LEARNS.format(folder=folder))
    build_take(bpy.context, take_result(performance("a.mp4"), load_head("open"), "Ada / 1", {}), job="job1#2")
    assert bpy.ops.flowface.learn_driver() == {"FINISHED"}, running.now.notice
    wait_until(lambda: drivers.current().stage == "Tuning", drivers.step)  # type: ignore[union-attr]


def test_a_driver_is_learnt_chosen_and_asked_for(here: Path) -> None:
    folder = here.parent
    stand_in(folder)
    assert drivers.current().fraction == 0.5  # type: ignore[union-attr]
    (folder / "go").touch()
    wait_until(lambda: drivers.current() is None, drivers.step)
    notice = running.now.notice
    assert notice is not None and not notice.is_error
    assert notice.text.endswith(
        "is learnt. On the take's last fifth its points lie 1.4 times as far off as the solve's."
    )
    wanted = (folder / "wanted").read_text().split()
    assert wanted[:3] == ["driver", "train", str(here / "job1")]
    assert wanted[wanted.index("--face") + 1] == "2"
    chosen = properties.of(bpy.context.scene)
    assert chosen.driver == wanted[wanted.index("--out") + 1]
    assert Path(chosen.driver).parent == folder / drivers.FOLDER
    chosen.source = properties.CAMERA
    source = Source(("--camera", "", "--driver", chosen.driver), "the first camera", calibrates=False)
    assert live_capture._source(chosen) == source
    Path(chosen.driver).unlink()
    assert bpy.ops.flowface.live_capture_start() == {"CANCELLED"}
    assert running.now.notice.text.startswith(f"There is no driver at {chosen.driver}")  # type: ignore[union-attr]


def test_what_the_command_line_refuses_is_said_in_the_panel(here: Path) -> None:
    (here.parent / "flowface").write_text(REFUSES)
    build_take(bpy.context, take_result(performance("a.mp4"), load_head("open"), "short", {}), job="job2")
    assert bpy.ops.flowface.learn_driver() == {"FINISHED"}
    assert not bpy.ops.flowface.learn_driver.poll(), "one at a time"
    wait_until(lambda: drivers.current() is None, drivers.step)
    assert running.now.notice is not None and running.now.notice.is_error
    assert running.now.notice.text == "The take shows the face in 8 frames. Track a longer take."
    assert properties.of(bpy.context.scene).driver == ""


def test_a_driver_that_is_called_off_is_not_chosen(here: Path) -> None:
    stand_in(here.parent)
    bpy.ops.flowface.cancel_driver()
    wait_until(lambda: drivers.current() is None, drivers.step)
    assert running.now.notice is not None and running.now.notice.text.startswith("Cancelled: no driver was written.")
    assert properties.of(bpy.context.scene).driver == ""


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
