"""The add-on in a real, windowed Blender (``pytest -m gui``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import cv2
import numpy as np
import pytest

from backend.head_model.library import load_head
from backend.server.app import Server
from tests.backend.server.conftest import REPOSITORY
from tests.blender.takes import frame_picture, write_clip
from tests.blender.test_client import free_port

from .conftest import Window

pytestmark = [pytest.mark.gui, pytest.mark.slow]

TRACK_BUTTON = ("908", "300")  # in a window of 1280 × 800, found by looking at 1-ready.png
CANCEL_BUTTON = ("908", "347")
JOBS_HEADER = ("840", "368")
VIEW_BUTTONS = (  # found by looking at the pictures of test_several_views
    *("cameras=840,240", "solve=840,453", "from_scene=958,453", "options=840,265", "track=908,300"),
    *("aligner=950,315", "network=940,363"),
    *("takes=860,453", "camera=1008,574", "left=1008,593", "right=1008,614", "next=1008,640", "pick=1009,316"),
)
CORRECT_BUTTONS = ("840,688", "908,745", "905,973")  # header, Add Pin, Refine: as test_corrections' pictures show
WRINKLES_SWITCH = ("890", "1101")  # in 4.3 and 5.2, as test_wrinkles_in_the_panel's pictures show
GOING_ON_HEADER = ("840", "388")
SERVE = """import sys; from pathlib import Path; from backend.server.app import Server
Server(Path(sys.argv[1]), sys.argv[2], runner="tests.blender.patient_runner:perform_when_told").run()"""
STAND_IN = """#!/bin/sh
echo "$$ $*" > {folder}/wanted.part && mv {folder}/wanted.part {folder}/wanted
while [ ! -e {folder}/ended ]; do sleep 0.05; done
rm {folder}/ended
kill -9 $$
"""
"""``flowface`` in the chroot, which has no backend: it asks out here for one, and ends as that ends."""


class Serving:
    """A thread that starts a real backend when ``wanted`` appears in a folder, kills it when ``kill`` does, and lets
    its job end when ``proceed`` does."""

    def __init__(self, folder: Path, jobs: Path, endpoint: str) -> None:
        self._folder, self._jobs, self._endpoint = folder, jobs, endpoint
        self.starts = 0
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._end()

    def _run(self) -> None:
        while not self._stopped.wait(0.05):
            if self._was_told("wanted"):
                command = [sys.executable, "-c", SERVE, str(self._jobs), self._endpoint]
                self._process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
                self.starts += 1
            if self._was_told("kill"):
                self._end()
                (self._folder / "ended").touch()
            if self._was_told("proceed"):
                for job in self._jobs.glob("2*"):
                    (job / "proceed").touch()

    def _was_told(self, name: str) -> bool:
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def test_track_in_the_panel(window: Window, start_backend: Callable[[str], Server], shared_data: Path) -> None:
    """Install, press Track with the mouse, see progress and result, export it, one undo."""
    clip = window.folder / "clip.mp4"
    shutil.copy(shared_data / "clips" / "pyfeat_single_face.mp4", clip)
    server = start_backend("backend.pipeline.runners:run_job")
    table = window.folder / "clip.csv"
    done = window.run("track.py", server.endpoint, str(clip), *TRACK_BUTTON, str(table))
    assert done.returncode == 0, done.stdout
    assert "Tracked 72 of 72 frames" in done.stdout
    header, *rows = table.read_text().splitlines()
    assert header.startswith("frame,time,tracked,") and len(rows) == 72


def test_the_head_is_seen_while_it_is_tracked(
    window: Window, start_backend: Callable[[str], Server], shared_data: Path
) -> None:
    """It comes, survives undo and redo by the keyboard, and one undo takes the result back."""
    clip = window.folder / "clip.mp4"
    shutil.copy(shared_data / "clips" / "lp_d10_expressive.mp4", clip)
    done = window.run("live.py", start_backend("backend.pipeline.runners:run_job").endpoint, str(clip), *TRACK_BUTTON)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "left of the preview: []" in done.stdout and "after one undo: [] ['Camera', 'Light']" in done.stdout


def test_problems_in_the_panel(window: Window, start_backend: Callable[[str], Server]) -> None:
    """One sentence each, and Cancel works with the mouse."""
    for deed in ("user-error", "until-cancelled"):
        (window.folder / f"{deed}.mp4").touch()
    server = start_backend("tests.backend.server.runners:run")
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    done = window.run("problems.py", nowhere, server.endpoint, str(window.folder), *CANCEL_BUTTON)
    assert done.returncode == 0, done.stdout
    for sentence in (
        "not-running: The FlowFace backend is not running. Start it",
        f"missing-file: There is no footage at {window.folder}/nothing.mp4.",
        f"failed-job: No face was found in {window.folder}/user-error.mp4. Choose footage that shows a face.",
        "cancelled: Cancelled.",
    ):
        assert sentence in done.stdout


def test_states_of_the_panel(window: Window, start_backend: Callable[..., Server]) -> None:
    """What is said in each state, the check of the preferences, and nothing built before the user is ready for it."""
    (window.folder / "until-cancelled.mp4").touch()
    write_clip(window.folder / "someone.mp4", 640, 480)
    server, performing = (
        start_backend(f"tests.{name}") for name in ("backend.server.runners:run", "blender.runners:perform")
    )
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    done = window.run("states.py", nowhere, server.endpoint, performing.endpoint, str(window.folder), *JOBS_HEADER)
    assert done.returncode == 0, done.stdout
    for sentence in (
        f"2-backend-missing: There is no Python in “{window.folder}/nothing”.",
        f"check: good: The address {nowhere} is free",
        f"check: bad: There is no Python in “{window.folder}/nothing”.",
        "5-cancelled: Cancelled.",
        "7-built: Tracked 10 of 10 frames, mean error 0.90 % of the inter-ocular distance (good).",
    ):
        assert sentence in done.stdout


def test_takes_in_the_panel(window: Window, start_backend: Callable[[str], Server]) -> None:
    """Tracked twice, duplicated, renamed, moved in time, shown alone, deleted and undone; another head asked about."""
    clip = write_clip(window.folder / "someone.mp4", 640, 480)
    server = start_backend("tests.blender.runners:perform")
    done = window.run("takes.py", server.endpoint, str(clip))
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "This is version 2 of “someone”." in done.stdout
    assert "after undo: ['Anna', 'someone']" in done.stdout
    assert "has another head. To replace it leaves its shape and its expressions' curves" in done.stdout
    assert "has another head and stays as it is; this is “someone.00" in done.stdout


def test_wrinkles_in_the_panel(window: Window, start_backend: Callable[[str], Server]) -> None:
    """Switched on with the mouse, seen in Material Preview; they come with an edited key and go with it."""
    clip = write_clip(window.folder / "someone.mp4", 640, 480)
    server = start_backend("tests.gui.runners:perform_with_wrinkles")
    done = window.run("wrinkles.py", server.endpoint, str(clip), *WRINKLES_SWITCH, size="1280x1400")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "switched on by the mouse: True" in done.stdout
    lines = [line.removeprefix("furrows ").split(": ") for line in done.stdout.splitlines() if "furrows " in line]
    seen = {name: float(depth) for name, depth in lines}
    for name in ("2-raised", "3-subdivided"):
        assert seen[name] > 3 * seen["4-raised-off"], seen
    assert seen["1-neutral"] < 1.3 * seen["5-neutral-off"], seen


def test_corrections_in_the_panel(window: Window, start_backend: Callable[[str], Server]) -> None:
    """A pin dragged, one left with Esc, a mask drawn, Refine pressed, all with the mouse; undone."""
    clip = write_clip(window.folder / "someone.mp4", 512, 512, count=60)
    server = start_backend("tests.blender.refine_runners:perform_or_refine")
    done = window.run("corrections.py", server.endpoint, str(clip), *CORRECT_BUTTONS, size="1280x1200")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "by 1 pin and 1 mask. This is version 2 of “someone”." in done.stdout
    assert "after undo: 1 version, 1 pin" in done.stdout


def test_a_job_goes_on_when_its_backend_is_killed(window: Window, tmp_path: Path) -> None:
    """The panel says that FlowFace starts it again, and builds the take of the one job."""
    clip, endpoint = write_clip(window.folder / "someone.mp4", 640, 480), f"tcp://127.0.0.1:{free_port()}"
    (window.folder / "flowface").write_text(STAND_IN.format(folder=window.folder))
    (window.folder / "flowface").chmod(0o755)
    serving = Serving(window.folder, tmp_path / "jobs", endpoint)
    with serving:
        place = (str(window.folder / "flowface"), str(window.folder))
        done = window.run("going_on.py", endpoint, str(clip), *place, *GOING_ON_HEADER, size="1280x1000")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "2-stopped: The backend stopped; FlowFace starts it again…" in done.stdout
    assert "one job: True" in done.stdout and "notice: Tracked 10 of 10 frames" in done.stdout
    assert serving.starts == 2


def test_two_faces_picked_with_the_mouse(
    window: Window, start_backend: Callable[[str], Server], shared_data: Path
) -> None:
    """The second face of a clip becomes a second head beside the first, which has another version; one undo."""
    clip = window.folder / "duo.mp4"
    shutil.copy(shared_data / "clips" / "intel_headpose_two_people.mp4", clip)
    server = start_backend("backend.pipeline.runners:run_job")
    done = window.run("faces.py", server.endpoint, str(clip), "0.74", "0.35", "0.19", "0.35")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "first: ['duo'] Tracked 10 of 10 frames" in done.stdout
    assert "2 faces were seen: the largest was tracked" in done.stdout
    assert "both: ['duo', 'duo head 2'] Tracked “duo”: 10 of 10" in done.stdout
    assert "This is version 2 of “duo”." in done.stdout
    assert "after undo: ['duo']" in done.stdout


def test_a_take_that_arrives_during_a_render_waits(window: Window, start_backend: Callable[[str], Server]) -> None:
    """Nothing is built into a render, which goes on; the panel says what the take waits for."""
    clip = write_clip(window.folder / "someone.mp4", 640, 480)
    server = start_backend("tests.blender.runners:perform")
    done = window.run("render.py", server.endpoint, str(clip))
    assert done.returncode == 0, done.stdout
    assert "waits: Ready: it is built when the render is over" in done.stdout
    assert "built: Tracked 10 of 10 frames" in done.stdout


def test_background_is_upright_and_the_right_frame(window: Window, start_backend: Callable[[str], Server]) -> None:
    """Rotated and anamorphic videos, a sequence that starts at 1001 and a photograph that lies on its side."""
    folder = window.folder
    footage = [write_clip(folder / f"video{angle}.mp4", 320, 192, rotation=angle) for angle in (0, 90, 180, 270)]
    footage.append(write_clip(folder / "anamorphic.mp4", 240, 192, aspect=Fraction(4, 3)))
    footage.append(write_clip(folder / "anamorphic90.mp4", 240, 192, rotation=90, aspect=Fraction(4, 3)))
    for index in range(8):
        cv2.imwrite(str(folder / f"shot.{1001 + index}.png"), frame_picture(index, 320, 192)[..., ::-1])
    footage.append(folder / "shot.1001.png")
    upright = frame_picture(0, 192, 320)
    lying = folder / "photo.jpg"
    cv2.imwrite(str(lying), cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)[..., ::-1])
    _set_exif_orientation(lying, 6)
    footage.append(lying)
    server = start_backend("tests.gui.runners:look")
    done = window.run("background.py", server.endpoint, *map(str, footage))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("upright right frame") == len(footage), done.stdout


def test_several_views(window: Window, start_backend: Callable[[str], Server]) -> None:
    """Three cameras, one upright, of two frame rates: unfolded, tracked, viewed; low confidence and faces found."""
    write_clip(window.folder / "front.mp4", 320, 192)
    write_clip(window.folder / "left.mp4", 192, 320, rate=50, count=22)
    write_clip(window.folder / "right.mp4", 320, 192)
    server = start_backend("tests.gui.runners:look")
    done = window.run("views.py", server.endpoint, str(window.folder), *VIEW_BUTTONS)
    assert done.returncode == 0, done.stdout


def test_from_footage_to_a_playblast_of_another_character(
    window: Window, start_backend: Callable[[str], Server], shared_data: Path
) -> None:
    """Track, add facecap, match, live, preview, scrub, playblast, a cancelled one, and back."""
    clip, character, film = (window.folder / name for name in ("clip.mp4", "facecap.glb", "film.mp4"))
    shutil.copy(shared_data / "clips" / "pyfeat_single_face.mp4", clip)
    shutil.copy(shared_data / "characters" / "facecap" / "facecap.glb", character)
    server = start_backend("backend.pipeline.runners:run_job")
    done = window.run("retarget.py", server.endpoint, str(clip), str(character), str(film), *TRACK_BUTTON)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for sentence in (
        "live: {'FINISHED'}",
        "played on: True",
        "left of the cancelled film: []",
        "left: [] same frame: True",
    ):
        assert sentence in done.stdout
    with av.open(str(film)) as opened:
        assert [stream.type for stream in opened.streams] == ["video", "audio"]
        assert sum(1 for _ in opened.decode(video=0)) == 72


def test_a_mesh_gets_shape_keys(window: Window, start_backend: Callable[[str], Server]) -> None:
    """The open head's skin and eyes as anybody's mesh: its keys come while Blender goes on, and one undo takes them."""
    head = load_head("open")
    kept = ~(head.regions["lashes"] | head.regions["tongue"])
    triangles = (np.cumsum(kept) - 1)[head.triangles[kept[head.triangles].all(axis=1)]]
    mesh = window.folder / "face.npz"
    np.savez(mesh, vertices=head.template[kept], triangles=triangles)
    server = start_backend("backend.pipeline.runners:run_job")
    done = window.run("make_shape_keys.py", server.endpoint, str(window.folder), str(mesh))
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for sentence in ("has 52 new shape keys", "keys: 53", "sheet: {'FINISHED'} 2", "after one undo: 0"):
        assert sentence in done.stdout


def test_an_override_of_another_files_character_is_driven_and_baked(window: Window) -> None:
    """Link, override, live, bake, each through saving and opening; a character of the same file first."""
    done = window.run("retarget_files.py", "tcp://127.0.0.1:9")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("follows: ") == 6


def _set_exif_orientation(path: Path, orientation: int) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        exif = picture.getexif()
        exif[0x0112] = orientation
        picture.load()
        picture.save(path, exif=exif, quality=95)
