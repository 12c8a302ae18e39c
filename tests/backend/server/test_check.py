"""The check of a backend: a sentence for each part, and what to do where one does not work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import UserError
from backend.head_model.library import mica_path
from backend.server import device
from backend.server.check import Verdict, check
from backend.server.worker import broken
from tests.backend.server.conftest import REPOSITORY

RUNNER = "tests.backend.server.runners:run"


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have added MICA's weights."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_what_works_is_said_in_four_sentences(tmp_path: Path) -> None:
    findings = list(check(tmp_path / "jobs", RUNNER))
    assert [finding.verdict for finding in findings] == [Verdict.GOOD] * 4
    said = [finding.sentence for finding in findings]
    assert said[0].startswith("FlowFace ") and sys.executable in said[0]
    assert said[1].startswith(f"The jobs folder {tmp_path / 'jobs'} can be written: 0 jobs, 0.0 GB;")
    assert said[2].startswith("Videos can be read and written (FFmpeg ")
    assert said[3].endswith("fits run on test device.")


def test_what_does_not_work_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("no folder")
    findings = list(check(tmp_path / "jobs", "tests.nothing:run"))
    assert [finding.verdict for finding in findings] == [Verdict.GOOD, Verdict.BAD, Verdict.GOOD, Verdict.BAD]
    assert "cannot be made" in findings[1].sentence and findings[1].hint == "Choose another --jobs-dir."
    assert findings[3].sentence.startswith("The tracker does not load (ModuleNotFoundError: No module named")
    assert findings[3].hint == "Install FlowFace's packages again."


def test_weights_of_mica_that_are_none_are_a_warning(tmp_path: Path) -> None:
    mica_path().parent.mkdir(parents=True)
    mica_path().write_bytes(b"no weights")
    *_, mica = check(tmp_path / "jobs", RUNNER)
    assert mica.verdict is Verdict.WARNING and str(mica_path()) in mica.sentence


def test_the_cpu_is_chosen_by_hiding_every_gpu() -> None:
    assert device.environment("cpu") == {"FLOWFACE_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    assert "CUDA_VISIBLE_DEVICES" not in device.environment("auto")


def test_a_gpu_that_is_wanted_and_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.setenv("FLOWFACE_DEVICE", "cuda")
    with pytest.raises(UserError, match="No CUDA GPU can be used here") as caught:
        device.require_device()
    event = broken(caught.value)
    assert event.message == caught.value.message and "“auto”" in event.hint
    monkeypatch.setenv("FLOWFACE_DEVICE", "auto")
    device.require_device()


@pytest.mark.slow
def test_as_the_addon_asks_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend.server", "check", "--json", "--jobs-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and {finding["verdict"] for finding in findings} == {"good"}
    refused = subprocess.run(
        [*command, "--device", "gpu"], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert refused.returncode == 2
    assert refused.stderr == "There is no device “gpu”. Choose one of auto, cpu, cuda.\n"
