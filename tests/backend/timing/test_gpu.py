"""The GPU's checks, rehearsed on the CPU: what they write, and what they call wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from backend.alignment.flowface import weights
from backend.alignment.flowface.weights_file import save_weights
from backend.errors import UserError
from backend.timing.gpu.run import GpuSizes, checked, run_gpu_checks
from backend.timing.gpu.types import Check, Difference, Timing, verdict
from backend.timing.sizes import Size
from tests.backend.alignment.flowface.networks import constant_network

TINY = GpuSizes(
    frames=3, cameras=1, crops=1, batch=1, take=Size(3, 1), encoder="b0", side=256, batches=(1,), seconds=0.0
)


def test_a_rehearsal_runs_every_part_and_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path / "small.safetensors", constant_network(), {})
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "small.safetensors"))
    out = tmp_path / "cuda.json"
    record = run_gpu_checks(out, "cpu", TINY, say=lambda _: None)
    assert json.loads(out.read_text()) == record
    assert record["rehearsal"] and record["device"]["kind"] == "cpu" and record["versions"]["torch"]
    assert [check["error"] for check in record["checks"]] == [None] * 5
    assert all(check["passed"] and check["differences"] for check in record["checks"])
    fit, align = record["times"]
    assert fit["value"] > 0 and fit["details"]["parts"]["one factorisation"] > 0
    assert align["value"] > 0 and align["unit"] == "ms an image" and align["met"] is None
    assert record["verdict"] == {"passed": True, "sentence": "all checks agree with the CPU"}


def test_what_differs_is_slow_or_breaks_is_named() -> None:
    near, far, nothing = (Difference("μ", value, 0.05, "px", "") for value in (0.05, 0.06, float("nan")))
    good, bad, none = Check("fit", (near,), 1.0), Check("alignment", (near, far), 1.0), Check("step", (nothing,), 1.0)

    def out_of_memory() -> list[Difference]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    broken = checked("inference", out_of_memory)
    assert broken.error is not None and "CUDA out of memory" in broken.error
    slow, fast = Timing("a fit", 11.0, "s", 10.0), Timing("a fit", 9.0, "s", 10.0)
    assert verdict([good], [fast], judged=True)["passed"]
    assert verdict([good], [slow], judged=False)["passed"]
    told = verdict([good, bad, none, broken], [slow], judged=True)
    assert not told["passed"]
    assert told["sentence"] == "not as on the CPU: alignment, step, inference; slower than its goal: a fit"
    assert not verdict([], [], judged=True)["passed"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was checked") as caught:
        run_gpu_checks(tmp_path / "cuda.json")
    assert caught.value.code == "no_cuda"
    assert not (tmp_path / "cuda.json").exists()
