"""The records that are kept, and by what code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.evaluation import store as module
from backend.evaluation.store import EVERYTHING, MEASURING, Store, code_digest


@pytest.fixture
def copied_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small backend whose files a test may change."""
    for name in (
        "fitting/fit.py",
        "evaluation/trackers/mediapipe_mesh.py",
        "evaluation/metrics/ssme.py",
        "evaluation/tables.py",
    ):
        path = tmp_path / "backend" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first")
    monkeypatch.setattr(module, "BACKEND", tmp_path / "backend")
    code_digest.cache_clear()
    yield tmp_path / "backend"
    code_digest.cache_clear()


def rewrite(path: Path) -> None:
    path.write_text("second")
    code_digest.cache_clear()


def test_a_record_is_made_once_and_again_by_other_code(copied_backend: Path, tmp_path: Path) -> None:
    made: list[str] = []
    store = Store(tmp_path / "runs", {"stride": 3})

    def ask(name: str, parts: tuple[str, ...]) -> dict[str, object]:
        return store.get((name,), lambda: {"made": made.append(name) or len(made)}, parts)

    def both() -> list[object]:
        return [ask("ours", EVERYTHING)["made"], ask("baseline", MEASURING)["made"]]

    assert both() == both() == [1, 2]
    rewrite(copied_backend / "evaluation" / "tables.py")
    assert both() == [1, 2]
    rewrite(copied_backend / "fitting" / "fit.py")
    assert both() == [3, 2], "a baseline does not depend on our fit"
    rewrite(copied_backend / "evaluation" / "metrics" / "ssme.py")
    assert both() == [4, 5]


def test_every_part_that_measures_is_there() -> None:
    for part in MEASURING:
        assert list(module.BACKEND.glob(f"{part.rstrip('/')}*")), part


def test_a_damaged_record_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    store.get(("a",), lambda: {"x": float("nan")})
    store.path("a").write_text("{")
    assert store.get(("a",), lambda: {"x": 1}) == {"x": 1}
