"""The wheel, installed as uv and pipx do it, works far from any checkout, and the add-on finds it."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import backend
from backend.demo.run import write_portrait
from backend.server.discovery import parse_ready_line
from backend.setting_up.machines import in_environment
from blender_addon.backend_places import find_launch
from blender_addon.backend_process import BackendProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A virtual environment with the wheel; the packages that it needs are those of this Python, the project's not."""
    folder = tmp_path_factory.mktemp("installed")
    wheels, environment = folder / "dist", folder / "environment"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=repo_root, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = in_environment(str(environment), "python", sys.platform)
    uv = in_environment(sys.prefix, "uv", sys.platform)
    (wheel,) = wheels.glob("*.whl")
    install = [uv, "pip", "install", "--offline", "--no-deps", "--python", python, str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    probe = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(probe, check=True, capture_output=True, text=True).stdout.strip()
    # A path within a .pth is not searched for further ones: the checkout's own stays unread.
    (Path(packages) / "needed.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    return environment


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """An environment of variables without this checkout, with a home and a state of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name in ("FLOWFACE_STATE_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return os.environ


def test_the_command_works_outside_a_checkout(installed: Path, away: Mapping[str, str], tmp_path: Path) -> None:
    flowface = in_environment(str(installed), "flowface", sys.platform)
    python = in_environment(str(installed), "python", sys.platform)

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", env=away, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(python, "-c", "import backend, blender_addon, protocol; print(backend.__file__)").strip()
    assert Path(where).is_relative_to(installed)
    assert run(flowface, "--version").strip() == f"flowface {backend.__version__}"
    assert "open" in run(flowface, "head", "list")
    portrait = tmp_path / "portrait.png"
    write_portrait(portrait)
    blend = () if sys.version_info[:2] in ((3, 11), (3, 13)) else ("--no-blend",)
    run(flowface, "track", str(portrait), "--out", "results", *blend)
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"track.npz", "alignments.npz", "report.json", "texture.png", "overlay.png"} | (
        set() if blend else {"scene.blend"}
    )


@pytest.mark.usefixtures("away")
def test_the_add_on_starts_it(installed: Path, tmp_path: Path) -> None:
    programs = Path(in_environment(str(installed), "flowface", sys.platform)).parent
    launch = find_launch(str(programs / "flowface"))
    assert launch.command[-1] == "serve" and launch.folder is None
    options = ["--endpoint", "tcp://127.0.0.1:*", "--private", "--parent-pid", str(os.getpid())]
    process = BackendProcess(launch, [*options, "--jobs-dir", str(tmp_path / "jobs")])
    try:
        deadline = time.monotonic() + 120
        while not (ready := [line for line in process.log if line.startswith("{")]) and time.monotonic() < deadline:
            assert process.running, process.why_ended()
            time.sleep(0.05)
        assert parse_ready_line(ready[0]).endpoint.startswith("tcp://127.0.0.1:")
    finally:
        process.stop()
    assert not process.running and process.why_ended() == ""
