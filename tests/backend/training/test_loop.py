"""A run can be stopped at any moment and goes on as if it had not been."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import UserError
from backend.training.checkpoints import load_checkpoint
from backend.training.config import TrainConfig, find_config, read_config
from backend.training.data.pool import fill
from backend.training.data.sources import rendered_pool
from backend.training.journal import read_journal
from backend.training.loop import TrainRequest, train
from backend.training.measure import measure
from backend.training.stop import Stop

from .stand_in import open_flat_heads

CONFIG = read_config(find_config("test"))


def nothing() -> None:
    """For work that nobody stops."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool that is full already, so that no run has to render."""
    folder = tmp_path_factory.mktemp("pool")
    for part, shards in (("dev", 1), ("train", CONFIG.data.shards)):
        of_part = rendered_pool(folder, CONFIG, part)
        fill(of_part.folder, of_part.spec, open_flat_heads, shards, nothing)
    return folder


def run(out: Path, pool: Path, config: TrainConfig = CONFIG, **more: object) -> None:
    train(TrainRequest(config, Path("nowhere"), out, pool, **more), Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def never_stopped(pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing came between, for all to compare with."""
    folder = tmp_path_factory.mktemp("never stopped") / "whole"
    run(folder, pool)
    return folder


@pytest.mark.slow
def test_stopped_and_resumed_is_the_same_as_never_stopped(tmp_path: Path, pool: Path, never_stopped: Path) -> None:
    run(tmp_path / "parts", pool, minutes=0.0)
    assert load_checkpoint(tmp_path / "parts", CONFIG).step == 1
    run(tmp_path / "parts", pool, minutes=0.0, resume=True)
    assert load_checkpoint(tmp_path / "parts", CONFIG).step == 2
    run(tmp_path / "parts", pool, resume=True)

    whole, parts = (load_checkpoint(folder, CONFIG) for folder in (never_stopped, tmp_path / "parts"))
    assert whole.step == parts.step == CONFIG.optimiser.steps
    for name, value in whole.network.items():
        assert torch.equal(value, parts.network[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, parts.average[name]), name
    for index, state in whole.optimiser["state"].items():
        assert torch.equal(state["exp_avg_sq"], parts.optimiser["state"][index]["exp_avg_sq"])

    logs = [read_journal(folder) for folder in (never_stopped, tmp_path / "parts")]
    losses = [[entry["loss"] for entry in log if entry["kind"] == "train"] for log in logs]
    assert losses[0] == losses[1]
    assert len(losses[0]) == CONFIG.optimiser.steps
    weights = load_weights(tmp_path / "parts" / "weights.safetensors")
    assert all(torch.equal(value, whole.average[name]) for name, value in weights.state_dict().items())
    assert read_metadata(tmp_path / "parts" / "weights.safetensors")["step"] == str(CONFIG.optimiser.steps)

    with pytest.raises(UserError) as caught:
        run(never_stopped, pool)
    assert caught.value.code == "run_exists"
    with pytest.raises(UserError) as caught:
        run(never_stopped, pool, replace(CONFIG, run=replace(CONFIG.run, seed=2)), resume=True)
    assert caught.value.code == "other_run"


KILLED = """
import io, os, signal, sys
from pathlib import Path
from rich.console import Console
from backend.training.config import find_config, read_config
from backend.training.loop import TrainRequest, train
from backend.training.stop import Stop

class Killed(Stop):
    asked = 0

    @property
    def wanted(self):  # asked for once after every step
        self.asked += 1
        if self.asked == 5:  # two steps after the only checkpoint
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return False

    @wanted.setter
    def wanted(self, _value):
        pass

    def check(self):
        pass

if __name__ == "__main__":
    out, pool = map(Path, sys.argv[1:])
    request = TrainRequest(read_config(find_config("test")), Path("nowhere"), out, pool)
    with Killed() as stop:
        train(request, Console(file=io.StringIO()), stop)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    tmp_path: Path, pool: Path, never_stopped: Path, repo_root: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    out = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    ended = subprocess.run([sys.executable, str(script), str(out), str(pool)], env=environment, capture_output=True)
    assert ended.returncode not in (0, 1), ended.stderr.decode()
    assert load_checkpoint(out, CONFIG).step == CONFIG.run.checkpoint_every == 3
    assert read_journal(out)[-1]["step"] == 5, "it had gone farther than it had kept"
    run(out, pool, resume=True)
    killed, whole = (load_checkpoint(folder, CONFIG) for folder in (out, never_stopped))
    assert killed.step == whole.step == CONFIG.optimiser.steps
    assert all(torch.equal(value, killed.network[name]) for name, value in whole.network.items())
    assert all(torch.equal(value, killed.average[name]) for name, value in whole.average.items())
    losses = [[e["loss"] for e in read_journal(folder) if e["kind"] == "train"] for folder in (out, never_stopped)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_a_smaller_network(tmp_path: Path, pool: Path) -> None:
    """A texture says the same at a place of the atlas on the finer grid, too."""
    torch.manual_seed(1)
    sizes = {"image_size": 2 * CONFIG.network.image_size, "uv_size": 2 * CONFIG.network.uv_size}
    data = replace(CONFIG.data, crop=CONFIG.network.image_size)  # of the pool's pictures
    small, larger = (
        FlowFaceNetwork(CONFIG.network),
        replace(CONFIG, network=replace(CONFIG.network, **sizes), data=data),
    )
    with torch.no_grad():
        for texture in small.uv.features.textures:
            texture.copy_(torch.linspace(-1, 1, texture.shape[-1]).expand_as(texture))
    save_weights(tmp_path / "small.safetensors", small, {})
    run(tmp_path / "run", pool, larger, start=tmp_path / "small.safetensors", minutes=0.0)
    average = load_checkpoint(tmp_path / "run", larger).average
    first = average["uv.features.textures.0"]
    assert first.shape[-1] == larger.network.uv_size
    assert first[..., 1:-1].diff(dim=-1).std() < 0.1 * first.diff(dim=-1).mean()  # a slope still, but for one step
    encoder = "encoder.segformer.stages.0.patch_embeddings.proj.weight"
    assert torch.allclose(average[encoder], small.state_dict()[encoder], atol=0.02)

    with pytest.raises(UserError, match="cannot begin a run") as caught:
        other = replace(CONFIG, network=replace(CONFIG.network, radius=CONFIG.network.radius + 1))
        run(tmp_path / "other", pool, other, start=tmp_path / "small.safetensors")
    assert caught.value.code == "bad_weights"


@pytest.mark.slow
def test_weights_are_measured_as_their_run_measured_them(tmp_path: Path, pool: Path, never_stopped: Path) -> None:
    weights = never_stopped / "weights.safetensors"
    own, more = (next(measure([weights], pool, count)) for count in ((), (3,)))
    journal = [entry for entry in read_journal(never_stopped) if entry["kind"] == "dev"]
    assert own.rendered.nme == pytest.approx(journal[-1]["nme"], abs=1e-3)
    assert (own.iterations, more.iterations) == (CONFIG.network.iterations, 3)
    assert own.real is None
    assert more.rendered.nme != own.rendered.nme
    with pytest.raises(UserError) as caught:
        next(measure([weights], tmp_path))
    assert caught.value.code == "no_pool"


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path, pool: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(tmp_path, pool, resume=True)
    assert caught.value.code == "file_missing"


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError) as caught:
        load_checkpoint(tmp_path, CONFIG)
    assert caught.value.code == "bad_checkpoint"


LONGER = replace(CONFIG, optimiser=replace(CONFIG.optimiser, steps=100000))
PATIENCE = 900  # seconds; only keeps a broken test from hanging


@contextlib.contextmanager
def long_run(out: Path, pool: Path, repo_root: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of ``LONGER`` by the command, as a process."""
    command = [sys.executable, "-m", "backend.cli", "train", "test", "--steps", str(LONGER.optimiser.steps)]
    command += ["--out", str(out), "--pool", str(pool), "--data", str(out.parent)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=repo_root, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "delay"), [(signal.SIGTERM, 0.0), (signal.SIGINT, 3.0)])
def test_a_run_may_be_told_to_end_from_its_first_line_on(
    tmp_path: Path, pool: Path, repo_root: Path, sign: signal.Signals, delay: float
) -> None:
    """The run ends in order wherever it is after that delay (loading torch, or training)."""
    out = tmp_path / "out"
    with long_run(out, pool, repo_root) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(delay)
        process.send_signal(sign)
        words, _ = process.communicate(timeout=PATIENCE)
    assert (first, process.returncode) == ("getting ready; Ctrl+C ends the run in order\n", 0), words
    last = words.splitlines()[-1]
    if last == "stopped before the first step; there is nothing to keep yet":
        assert not (out / "checkpoint.pt").exists() and not (out / "weights.safetensors").exists()
    else:
        step = load_checkpoint(out, LONGER).step
        assert last == f"stopped after step {step} of 100000; {out / 'weights.safetensors'} holds the weights"
        load_weights(out / "weights.safetensors")


def test_a_run_that_is_told_to_end_before_it_begins_makes_and_changes_nothing(tmp_path: Path, pool: Path) -> None:
    stop, console = Stop(), Console(file=io.StringIO(), width=500)
    stop.wanted = True
    request = TrainRequest(CONFIG, Path("nowhere"), tmp_path / "run", pool)
    train(request, console, stop)
    assert not any((tmp_path / "run").iterdir())
    run(tmp_path / "run", pool, minutes=0.0)
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    train(replace(request, resume=True), console, stop)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    says = [f"stopped before the first step; {end}" for end in ("there is nothing to keep yet", "")]
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [says[0], f"{says[1]}{tmp_path / 'run'} holds the run as it was"]


@pytest.mark.slow
def test_a_run_that_is_told_to_end_leaves_a_checkpoint(tmp_path: Path, pool: Path, repo_root: Path) -> None:
    out = tmp_path / "out"
    with long_run(out, pool, repo_root) as process:
        deadline = time.monotonic() + PATIENCE
        while len(read_journal(out)) <= 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    step = load_checkpoint(out, LONGER).step
    assert step >= 3
    assert max(entry["step"] for entry in read_journal(out)) == step
    load_weights(out / "weights.safetensors")
