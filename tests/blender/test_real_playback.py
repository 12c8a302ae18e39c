"""Footage as users' tools write it, through a real job into a scene file: each frame shows the picture tracked."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import cv2
import numpy as np
import pytest

from backend.client.request import TrackRequest
from backend.client.track import track_to_folder
from backend.footage import open_footage
from backend.server.app import Server
from blender_addon.scene.ownership import shown_views
from protocol.options import SolveOptions
from protocol.shown import hold
from tests.backend.server.conftest import REPOSITORY, running

from .stamps import shown_pictures

pytestmark = pytest.mark.slow

# A mirror, a quarter and both at once. All of theirs are read in test_stills.py and shown in test_playback.py: from the
# reader on, a job knows nothing of how a picture was turned.
TURNED = tuple(f"turned_{number}.jpg" for number in ("two", "six", "seven"))

UNPAINTED = SolveOptions(texture=False)  # of which nothing is looked at here, and which takes as long as the rest


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> ModuleType:
    """The script that makes footage of the kinds that go wrong."""
    spec = importlib.util.spec_from_file_location("footage_cases", shared_data.parent / "cases" / "footage_cases.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(cases: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    cases.main(folder)
    return folder


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One backend for the whole module: its worker loads torch once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with running(Server(tmp_path_factory.mktemp("jobs"), "tcp://127.0.0.1:*")) as server:
            yield server.endpoint


@pytest.mark.parametrize(
    ("name", "frames", "first"),
    [
        ("vfr.mp4", (26, 36), 26),
        ("live.webm", (3, 9), 3),
        ("transpose.mp4", None, 1),
        ("mirror_h.mp4", (1, 2), 1),
        ("mirror_v.mp4", (1, 2), 1),
        ("upside_down.mp4", (1, 2), 1),
        ("step", None, 1),
        ("stamps", None, 1),
        ("gap", None, 1),
        ("suffix", None, 1),
        ("hash", None, 1),
        ("timecode", None, 1),
        ("dpx", None, 1),
        ("tga", None, 1),
        *((name, None, None) for name in TURNED),
    ],
)
def test_the_scene_file_shows_what_was_tracked(
    name: str,
    frames: tuple[int, int] | None,
    first: int | None,
    cases: ModuleType,
    made: Path,
    endpoint: str,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    done = track_to_folder(TrackRequest((made / name,), out, frames=frames, endpoint=endpoint, options=UNPAINTED))
    track, camera = done.track, done.track.cameras[0]
    overlay = open_footage(done.files["overlay"])
    assert overlay.info.frame_count == len(track.frames)
    drawn_over = cv2.resize(next(iter(overlay)).image, cases.A.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert track.tracked.mean() > 0.9
    if camera.proxy:
        assert Path(camera.proxy).parent == out / "proxy" and Path(camera.proxy).is_file()
        assert any(f"proxy/{Path(camera.proxy).name}" in warning for warning in done.report["warnings"])
    moved = out.rename(tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(moved / "scene.blend"))
    (take,) = bpy.context.scene.collection.children
    (view,) = shown_views(take)
    pictures = hold(track.scene_frames, camera.footage_frames)
    shown = list(shown_pictures(view.camera, range(pictures.first, pictures.first + len(pictures.numbers)), tmp_path))
    if first is None:
        assert np.abs(shown[0].astype(int) - cases.A).mean() < 4
        assert np.abs(drawn_over.astype(int) - cases.A).mean() < 10  # the head is drawn over it
        return
    if name == "upside_down.mp4":
        assert any("upside down" in warning for warning in done.report["warnings"])
        shown = [picture[::-1, ::-1] for picture in shown]
    numbers = {number: first + order for order, number in enumerate(np.unique(pictures.numbers).tolist())}
    expected = [numbers[number] for number in pictures.numbers.tolist()]
    assert [cases.read_stamp(picture) for picture in shown] == expected
