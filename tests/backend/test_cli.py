"""The command line as a user runs it: a process, its words and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from skimage.data import astronaut
from skimage.io import imread, imsave

import backend
from backend.client.cli import parse_box
from backend.errors import UserError
from backend.server.app import Server
from backend.terminal.options import LAST_FRAME, parse_frames
from backend.track.io import load_track
from tests.backend.server.conftest import running

REPORT_FIELDS = {
    "frames",
    "frames_tracked",
    "reprojection_error_percent_iod",
    "focal_px",
    "seconds",
    "frames_per_second",
    "head",
    "aligner",
    "versions",
}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> dict[str, str]:
    """Neither sees nor disturbs the backend, jobs and heads of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("home")
    own = {"FLOWFACE_STATE_DIR": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")}
    return {**os.environ, **own, "PYTHONPATH": str(repo_root), "COLUMNS": "200", "OMP_NUM_THREADS": "2"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, repo_root: Path, environment: dict[str, str]) -> Iterator[str]:
    """One backend for tests of words and files, whose worker loads torch once; without it each has a private one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(repo_root))
        patch.setenv("FLOWFACE_STATE_DIR", environment["FLOWFACE_STATE_DIR"])  # where its keys are
        with running(Server(tmp_path_factory.mktemp("jobs"), "tcp://127.0.0.1:*")) as server:
            yield server.endpoint


def flowface(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=300)


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    imsave(path, astronaut(), check_contrast=False)
    return path


@pytest.mark.parametrize(
    ("text", "expected"), [("3:9", (3, 9)), ("5", (5, 5)), ("5:", (5, LAST_FRAME)), (":7", (0, 7)), (" 0:0 ", (0, 0))]
)
def test_frame_ranges(text: str, expected: tuple[int, int]) -> None:
    assert parse_frames(text) == expected


@pytest.mark.parametrize("text", ["9:3", "a:b", ":", "1-5", "-3:4", "1:2:3", "9999999999:"])
def test_what_is_no_frame_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a frame range"):
        parse_frames(text)


def test_face_boxes() -> None:
    assert parse_box("10,20.5,100,120") == (10.0, 20.5, 100.0, 120.0)
    for text in ("10,20,100", "a,b,c,d", "1,2,0,5", "1,2,-3,5", "nan,0,1,1", "1,2,inf,4"):
        with pytest.raises(UserError, match="not a face box"):
            parse_box(text)


def test_version_agrees_with_the_installed_project(environment: dict[str, str]) -> None:
    assert flowface(environment, "--version").stdout.strip() == f"flowface {backend.__version__}"


def test_help_is_light(environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom backend.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'zmq', 'cv2', 'av', 'scipy', 'mediapipe', 'moderngl', 'bpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    listed = {words[1] for line in result.stdout.splitlines() if len(words := line.split()) > 1}
    assert listed >= {"track", "serve", "head", "demo"}


def bad_footage(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "text":
        path.write_text("This is not a video.\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "faceless":
        path = path.with_suffix(".png")
        imsave(path, astronaut()[300:, 300:], check_contrast=False)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing", "text", "empty", "faceless"])
def test_footage_that_cannot_be_tracked_ends_in_one_sentence(
    environment: dict[str, str], endpoint: str, tmp_path: Path, kind: str
) -> None:
    path = bad_footage(kind, tmp_path)
    result = flowface(environment, "track", path, "--out", tmp_path / "out", "--endpoint", endpoint)
    assert result.returncode == 2, result.stderr
    complaint = result.stderr[result.stderr.index("flowface: ") :]
    assert path.name in complaint
    assert "Traceback" not in result.stderr
    assert len(complaint.strip().splitlines()) <= 2  # the sentence and what to do
    assert not list((tmp_path / "out").iterdir())


def test_an_output_folder_that_is_a_file_is_named(environment: dict[str, str], portrait: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    result = flowface(environment, "track", portrait, "--out", tmp_path / "taken")
    assert result.returncode == 2
    assert str(tmp_path / "taken") in result.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_backend_that_is_not_there_is_named(environment: dict[str, str], portrait: Path, tmp_path: Path) -> None:
    result = flowface(environment, "track", portrait, "--out", tmp_path, "--endpoint", "tcp://127.0.0.1:9")
    assert result.returncode == 2
    assert "tcp://127.0.0.1:9" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_still_becomes_a_track_an_overlay_and_a_scene(
    environment: dict[str, str], portrait: Path, tmp_path: Path
) -> None:
    out = tmp_path / "with [brackets] and ümläuts" / "folder"
    out.mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    (out / "track.npz").write_text("of an earlier run")
    result = flowface(environment, "track", portrait, "--out", out)
    assert result.returncode == 0, result.stderr
    names = {path.name for path in out.iterdir()}
    written = {"track.npz", "alignments.npz", "report.json", "texture.png", "overlay.png", "scene.blend", "notes.txt"}
    assert names == written
    assert (out / "notes.txt").read_text() == "mine"
    track = load_track(out / "track.npz")
    assert track.tracked.tolist() == [True]
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= REPORT_FIELDS
    assert set(report["reprojection_error_percent_iod"]) >= {"mean", "p95"}
    assert set(report["seconds"]) >= {"decode", "align", "fit", "total"}
    assert report["frames"] == report["frames_tracked"] == 1
    assert 0 < report["reprojection_error_percent_iod"]["mean"] < 2.0
    assert imread(out / "overlay.png").shape[:2] == astronaut().shape[:2]
    assert (out / "scene.blend").stat().st_size > 100_000
    for word in ("1 of 1", "[brackets]", "scene.blend", "overlay.png"):
        assert word in result.stdout


def test_a_range_of_a_clip_without_scene_and_overlay(
    environment: dict[str, str], endpoint: str, shared_data: Path, tmp_path: Path
) -> None:
    clip = shared_data / "clips" / "pyfeat_single_face.mp4"
    options = ("--frames", "11:20", "--no-blend", "--no-overlay", "--endpoint", endpoint)
    result = flowface(environment, "track", clip, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stderr
    written = {"track.npz", "alignments.npz", "report.json", "texture.png"}
    assert {path.name for path in tmp_path.iterdir()} == written
    track = load_track(tmp_path / "track.npz")
    assert track.frames.tolist() == list(range(11, 21))
    assert track.tracked.all()


def test_pictures_of_one_synchronised_frame_before_known_cameras(
    environment: dict[str, str], endpoint: str, shared_data: Path, tmp_path: Path
) -> None:
    scan = shared_data / "scan" / "lee_perry_smith"
    views = [scan / f"view_0{number}.jpg" for number in (0, 1, 2)]
    options = ("--calibration", scan / "cameras.json", "--deform", "nose", "--endpoint", endpoint)
    result = flowface(environment, "track", *views, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stderr
    overlays = {f"overlay_view_0{number}.png" for number in (0, 1, 2)}
    written = {"track.npz", "alignments.npz", "report.json", "texture.png", "scene.blend"}
    assert {path.name for path in tmp_path.iterdir()} == written | overlays
    track = load_track(tmp_path / "track.npz")
    assert [camera.name for camera in track.cameras] == ["view_00", "view_01", "view_02"]
    assert {camera.footage_kind for camera in track.cameras} == {"still"}
    assert all(camera.focal_px.tolist() == [2400.0] for camera in track.cameras)
    assert track.deformation.any()
    for word in ("view_00.jpg and 2 more", "view_02", "2400 px (known)", "uncertainty"):
        assert word in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_cancels_the_job_and_leaves_no_process(
    environment: dict[str, str], shared_data: Path, tmp_path: Path
) -> None:
    clip = shared_data / "clips" / "lp_d9_glasses_selfie.mp4"
    command = [sys.executable, "-m", "backend.cli", "track", str(clip), "--out", str(tmp_path), "--no-blend"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and so would its children, were the tests run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:  # the job has begun once it names its first stage
        if "backend" not in line and "queued" not in line:
            break
    process.send_signal(signal.SIGINT)
    words = process.stderr.read()
    assert process.wait(timeout=60) == 130
    assert "cancelled" in words
    assert not (tmp_path / "track.npz").exists()
    jobs = Path(environment["XDG_DATA_HOME"]) / "flowface" / "jobs"
    states = [json.loads(path.read_text()) for path in jobs.glob("*/state.json")]
    assert [state["state"] for state in states if state["footage"] == str(clip)] == ["cancelled"]
    deadline = time.monotonic() + 30
    while str(process.pid) in _parents() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert str(process.pid) not in _parents()


def _parents() -> set[str]:
    """The process ids that backends on this machine were told to live for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--parent-pid" in words:
            found.add(words[words.index("--parent-pid") + 1])
    return found


def test_several_faces_are_said(environment: dict[str, str], endpoint: str, shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "clips" / "intel_headpose_two_people.mp4"
    earlier = ("track.npz", "tracked.npz", "track_2.npz", "alignments_2.npz", "texture_2.png")
    for name in (*earlier, "texture_001.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"of before")
    options = ("--frames", "1:4", "--no-blend", "--no-overlay", "--endpoint", endpoint)
    done = flowface(environment, "track", clip, "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"texture.png"} == {"track.npz", "alignments.npz", "report.json", "texture_001.png", "notes.txt"}
    assert "faces seen" in done.stdout
    assert "2: one was tracked, the largest" in done.stdout
    assert "writing the scene" not in done.stderr
    assert "writing the overlay" not in done.stderr
