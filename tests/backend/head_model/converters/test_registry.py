"""Another head model comes in by one registered line, under the name that the command line then takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import UserError
from backend.head_model.converters import registry


def test_a_registered_model_is_read_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "CONVERTERS", registry.CONVERTERS.copy())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def read(path: Path, _: object) -> object:
        raise UserError("not_a_toy", f"{path.name} is no toy head.")

    registry.register_converter("toy", "a toy's .txt", read)  # type: ignore[arg-type]
    result = CliRunner().invoke(app, ["head", "add", "toy", str(tmp_path / "bear.txt")])
    assert isinstance(result.exception, UserError) and result.exception.code == "not_a_toy"


def test_an_unknown_kind_is_answered_by_those_there_are() -> None:
    with pytest.raises(UserError, match="“ict”, “flame”"):
        registry.find_converter("daz")
