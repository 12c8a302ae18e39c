"""Footage that Blender sends to a backend that knows it by its key only, and results in this machine's paths."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.server.app import Server
from backend.server.keys import KeyRing, keys_folder
from blender_addon import fetched_proxies, preferences, pump, session, settings, uploading
from blender_addon.client import Connection
from blender_addon.footage_files import CannotSend, files_of, files_of_views
from blender_addon.own_key import own_pair
from blender_addon.scene.ownership import takes_of
from blender_addon.sent_files import SentFiles
from blender_addon.vendor import codec, keys
from protocol.upload import CHUNK_BYTES

from .conftest import wait_until
from .takes import Shot, make_take, write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Footage of some chunks: what follows a video's last box is nobody's."""
    (tmp_path / "here").mkdir()
    path = write_clip(tmp_path / "here" / "someone.mp4", 640, 480)
    with path.open("ab") as file:
        size = 6 * CHUNK_BYTES
        file.write(size.to_bytes(4, "big") + b"free" + np.random.default_rng(1).bytes(size - 8))
    return path


@pytest.fixture
def elsewhere(
    addon: None,  # noqa: ARG001 - enabled, not used
    tmp_path: Path,
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> Server:
    """A backend with a listener for the network, which the preferences name with an access key."""
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "user")
    server = start_server(runner="tests.blender.patient_runner:perform_when_told", network="tcp://127.0.0.1:*")
    monkeypatch.setattr(preferences._Defaults, "endpoint", server.network_endpoint)
    monkeypatch.setattr(preferences._Defaults, "access_key", KeyRing(keys_folder()).new_client("anna"))
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    return server


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_footage_is_sent_goes_on_after_a_lost_connection_and_the_result_shows_it_from_here(
    clip: Path, tmp_path: Path
) -> None:
    now = session.current()
    assert now.remote and not bpy.ops.flowface.backend_start.poll()
    settings.of(bpy.context.scene).footage = str(clip)
    assert bpy.ops.flowface.track() == {"FINISHED"}
    longest, begun = 0.0, 0.0

    def tick() -> None:
        nonlocal longest
        started = time.perf_counter()
        pump.tick()
        longest = max(longest, time.perf_counter() - started)

    wait_until(lambda: now.job.upload.fraction > 0.6, tick)
    assert now.job.stage == "Sending “someone.mp4”" and not now.job.submitted
    begun = now.job.upload.fraction
    key = preferences._Defaults.access_key
    now.client.close()  # as a network that is gone: nothing of it comes back
    now.client = None
    now._wanted, job = None, now.job
    now.connect(preferences._Defaults.endpoint, key)
    wait_until(lambda: bool(job.job_id), tick)
    assert job is now.job and begun < 1
    (folder,) = (tmp_path / "jobs").glob("2*")
    (folder / "proceed").touch()
    wait_until(lambda: now.job is None, tick)
    assert now.notice.text.startswith("Tracked 10 of 10 frames"), now.notice.text
    (take,) = takes_of(bpy.context.scene)
    assert [bpy.path.abspath(shown.filepath) for shown in bpy.data.movieclips] == [str(clip)]
    assert take.name == "someone"
    uploaded = [path for path in (tmp_path / "jobs" / "uploads").rglob("*") if path.is_file()]
    assert {path.stat().st_size for path in uploaded} == {clip.stat().st_size}
    print(f"longest tick {1000 * longest:.1f} ms, building included")


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_sending_can_be_cancelled_and_leaves_no_job(clip: Path, tmp_path: Path) -> None:
    now = session.current()
    settings.of(bpy.context.scene).footage = str(clip)
    bpy.ops.flowface.track()
    upload = now.job.upload
    bpy.ops.flowface.cancel()
    wait_until(lambda: upload.ended, pump.tick)
    assert now.job is None and now.notice == session.Notice("Cancelled.")
    assert not list((tmp_path / "jobs").glob("2*"))


def test_the_images_of_a_sequence_are_found_and_photographs_are_not_one(tmp_path: Path) -> None:
    for name in ("shot.0009.png", "shot.0010.png", "shot.0011.png", "notes.txt", "IMG_17.jpg", "IMG_923.jpg"):
        (tmp_path / name).touch()
    shot = [tmp_path / f"shot.{number}.png" for number in ("0009", "0010", "0011")]
    for path in (shot[1], tmp_path, tmp_path / "shot.####.png", tmp_path / "shot.%04d.png"):
        assert files_of(path) == shot
    assert files_of(tmp_path / "IMG_17.jpg") == [tmp_path / "IMG_17.jpg"]
    assert files_of_views(shot[:2]) == [[shot[0]], [shot[1]]]
    with pytest.raises(CannotSend, match="choose their folder"):
        files_of(tmp_path / "notes.txt")


def test_proxies_are_kept_where_the_addon_may_write_whatever_the_backend_calls_them(tmp_path: Path) -> None:
    assert fetched_proxies.name_of("/jobs/1/proxy/camera.mp4") == "proxy/camera.mp4"
    assert fetched_proxies.name_of("C:\\jobs\\1\\proxy\\camera.mp4") == "proxy/camera.mp4"
    for bad in ("", "/jobs/1/proxy/..", "/etc/passwd", "/proxy/a:b.mp4", "/jobs/proxy/", "/jobs/proxy/. "):
        assert not fetched_proxies.name_of(bad)
    take = make_take(Shot())
    camera = replace(take.cameras[0], footage="/there/place/someone.mp4", proxy="/jobs/1/proxy/camera.mp4")
    take = replace(take, cameras=(camera,))
    sent = SentFiles(tmp_path / "user" / "sent_files.json")
    sent.remember("place", {"someone.mp4": tmp_path / "a:b.mp4"})
    folder = sent.proxies("../../20260101-000000-01234567")
    assert folder == tmp_path / "user" / "proxies" / "20260101-000000-01234567"
    saving = fetched_proxies.Saving(folder, {"proxy/camera.mp4": np.arange(9, dtype=np.uint8)}, take)
    wait_until(lambda: saving.done, lambda: None)
    (shown,) = SentFiles(tmp_path / "user" / "sent_files.json").localised(take, saving.paths).cameras
    assert shown.footage == str(tmp_path / "a:b.mp4") and Path(shown.proxy).read_bytes() == bytes(range(9))
    assert Path(shown.proxy) == folder / "camera.mp4"


def test_names_that_other_systems_refuse_are_changed(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a:b.png", "A_b.png", ".hidden.png")]
    assert uploading.distinct_names(paths) == ["a_b.png", "1_A_b.png", "hidden.png"]


def test_a_client_has_a_key_of_its_own_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    made = own_pair()
    ring = KeyRing(keys_folder())
    assert own_pair() == made != ring.user, "a backend that runs here later changes nothing"
    assert (keys.user_key_file().with_name("client.key").stat().st_mode & 0o777) == 0o600 or os.name == "nt"
    ring.trust("anna", made.public)
    assert preferences.key_fault("nonsense").startswith("This is no access key")
    assert not preferences.key_fault(keys.access_text(keys.Access(ring.backend.public, "")))
    with pytest.raises(codec.ProtocolError):
        keys.access_from_text("flowface1-AAAA")
