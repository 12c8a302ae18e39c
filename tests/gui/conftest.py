"""A real, windowed Blender through ``blender-gui.sh`` beside this checkout, and backends that it reaches.

The extension's zip is installed there as a user does; the backend runs out here. Screenshots stay in ``bgui-out``.
``FLOWFACE_GUI_SUITES`` names the Debian suites (and so the Blenders) to try, trixie (4.3) where it is not set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.server.app import Server
from blender_addon import build_extension
from tests.backend.server.conftest import REPOSITORY, running

PYTHON_PACKAGES = (  # where Debian's Python is none that the extension has wheels for
    "python3 -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 13)))' || "
    "python3 -c 'import zmq, msgpack' || apt-get install -y -q --no-install-recommends python3-zmq python3-msgpack"
)
SUITES = os.environ.get("FLOWFACE_GUI_SUITES", "trixie").split()


@pytest.fixture
def start_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Server]]:
    """Backends out here, which Blender in its chroot reaches through the shared loopback."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    servers = []

    def start(runner: str) -> Server:
        context = running(Server(tmp_path / "jobs", "tcp://127.0.0.1:*", runner=runner))
        servers.append(context)
        return context.__enter__()

    yield start
    for context in servers:
        context.__exit__(None, None, None)


class Window:
    """A Blender in a window, and the folder that lies at the same path in here and in its chroot."""

    def __init__(self, tool: Path, suite: str, folder: Path, out: Path) -> None:
        self.folder = folder
        self._tool = tool
        self._environment = {
            **os.environ,
            "BGUI_SUITE": suite,
            "BGUI_WORK": str(folder),
            "BGUI_OUT": str(out),
            "BGUI_TIMEOUT": "400",
        }
        for script in (Path(__file__).parent / "inside").glob("*.py"):
            shutil.copy(script, folder)
        self.package = build_extension.build(folder, ["linux-x64"])
        self._call("sh", f"mkdir -p {folder.parent} && ln -sfn /work {folder}; {PYTHON_PACKAGES}")

    def run(self, script: str, *arguments: str, size: str = "1280x800") -> subprocess.CompletedProcess[str]:
        """Run one of the scripts in the window, of so many pixels."""
        self._environment["BGUI_SIZE"] = size
        done = self._call("run", str(self.folder / script), str(self.package), *arguments)
        print(done.stdout)
        return done

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self._tool), *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


@pytest.fixture(params=SUITES)
def window(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Window:
    tool = REPOSITORY.parent / "shared" / "tools" / "blender-gui.sh"
    if not tool.is_file():
        pytest.skip("blender-gui.sh is not beside this checkout")
    folder = tmp_path / "window"
    folder.mkdir()
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(folder / "state"))  # the keys, in here and in the chroot
    return Window(tool, request.param, folder, REPOSITORY / "bgui-out" / f"{request.param}-{request.node.originalname}")
