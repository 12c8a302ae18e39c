"""Heads that are driven live, and heads of photographs, in a real, windowed Blender (``pytest -m gui``)."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.appearance.train import TrainRequest, train
from backend.appearance.tune import TuneOptions
from backend.footage.encode import encode_evenly
from backend.live.live_link import PACKET_ACTIONS
from backend.live.session import FaceSession, SessionOptions
from backend.live.sources import play_video
from backend.server.app import Server
from tests.backend.appearance.rendered import rendered_take
from tests.backend.live.packets import Phone
from tests.blender.live_stand_in import StandIn

from .conftest import Window

pytestmark = [pytest.mark.gui, pytest.mark.slow]


def test_a_phone_drives_a_head_live(window: Window) -> None:
    """Packets of Live Link Face from out here: the head moves in the window, is recorded, and has its keys again."""
    with StandIn(window.folder) as stand_in, _sending(stand_in.receiver.port):
        done = window.run("live_capture.py", str(stand_in.program), str(stand_in.receiver.port), size="1280x1000")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for sentence in (
        "recorded: Recorded live from Live Link Face: ",
        "This is version 2 of “Live Link Face”.",
        "keys again: Live Link Face expression v2",
    ):
        assert sentence in done.stdout


def test_a_learnt_driver_drives_a_head_live(window: Window) -> None:
    """A video of a rendered person, played out here, through the driver that the panel names; nothing is calibrated."""
    track = rendered_take(window.folder / "take")
    pictures = [cv2.imread(str(path))[..., ::-1] for path in sorted((window.folder / "take").glob("pictures/*.png"))]
    video, learnt = window.folder / "someone.mp4", window.folder / "person.npz"
    encode_evenly(video, [np.ascontiguousarray(picture) for picture in pictures], track.frame_rate)
    request = TrainRequest(window.folder / "take", learnt, whole=True, tuning=TuneOptions(steps=0))
    train(request, lambda *_: None, lambda: False)
    with StandIn(
        window.folder, lambda: FaceSession(play_video(video, loop=True), SessionOptions(learnt=learnt))
    ) as stand_in:
        done = window.run("driver.py", str(stand_in.program), str(video), str(learnt), size="1280x1000")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert stand_in.options[stand_in.options.index("--driver") + 1] == str(learnt)
    assert "the jaw went from" in done.stdout


def test_a_head_of_photographs(window: Window, start_backend: Callable[[str], Server], shared_data: Path) -> None:
    """Two photographs of one person, neutral and smiling, become a head with 52 keys, skin and two cameras."""
    names = ("004_03.jpg", "004_08.jpg")
    for folder, name in zip(("london_neutral", "london_smiling"), names, strict=True):
        shutil.copy(shared_data / "photos" / folder / name, window.folder)
    server = start_backend("backend.pipeline.runners:run_job")
    done = window.run("photographs.py", server.endpoint, str(window.folder), *names, size="1280x1000")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "keys: 52 cameras: 2" in done.stdout


@contextlib.contextmanager
def _sending(port: int) -> Iterator[None]:
    """A phone that sends 60 faces a second: the jaw opens and closes, the head turns, the eyes look about."""
    over, phone = threading.Event(), Phone(port)

    def send() -> None:
        index = 0
        while not over.wait(1 / 60):
            index += 1
            swing = np.sin(2 * np.pi * index / 90)
            values = [0.0] * 61
            values[PACKET_ACTIONS.index("jawOpen")] = 0.4 - 0.4 * swing
            values[PACKET_ACTIONS.index("mouthSmileLeft")] = values[PACKET_ACTIONS.index("browInnerUp")] = max(0, swing)
            values[52], values[53], values[55], values[58] = 0.5 * swing, 0.1 * swing, 0.3 * swing, 0.3 * swing
            phone.send(values)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        phone.close()
