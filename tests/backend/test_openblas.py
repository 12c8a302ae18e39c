"""The kernels that OpenBLAS is told to use are those that the processor has, and the user's word goes before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.openblas import choose_kernels

WIDE = "avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl amx_tile"


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [(WIDE, "SkylakeX"), (WIDE.replace("avx512bw ", ""), "Haswell"), ("sse3 avx", None), ("", None)],
)
def test_the_widest_that_the_processor_has(
    flags: str, kernels: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: of 2030\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\n")
    choose_kernels(cpuinfo)
    assert os.environ.get("OPENBLAS_CORETYPE") == kernels


def test_the_users_own_word_and_other_systems_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"OPENBLAS_CORETYPE": "Zen"})
    choose_kernels()
    assert os.environ == {"OPENBLAS_CORETYPE": "Zen"}
    monkeypatch.setattr(os, "environ", {})
    choose_kernels(tmp_path / "none")
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    choose_kernels(tmp_path / "arm")
    assert os.environ == {}
