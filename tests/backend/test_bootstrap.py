"""Set-up's commands say in words what they are and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend import bootstrap
from backend.setting_up.commands import SetupError
from backend.setting_up.environment import Environment


def test_pin_refuses_what_it_does_not_know() -> None:
    with pytest.raises(SetupError, match="--upgrade"):
        bootstrap.command_pin(["--newest"])


def test_set_up_refuses_what_it_does_not_know() -> None:
    with pytest.raises(SetupError, match="not all"):
        bootstrap.command_set_up(["all"])


def test_an_unknown_command_prints_the_usage(repo_root: Path, tmp_path: Path) -> None:
    script = str(repo_root / "backend" / "bootstrap.py")
    result = subprocess.run([sys.executable, script, "dance"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")


@pytest.mark.parametrize("beside", [False, True])
def test_what_tests_import_is_compiled_once(beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is written beside sources, bytecode is kept in the environment."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "" if beside else "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    environment, source = Environment(tmp_path / "environment", (3, 11), "python3"), tmp_path / "source"
    source.mkdir()
    (source / "imported.py").write_text("")
    settings = bootstrap.settings_for_tests(environment)
    subprocess.run([sys.executable, "-c", "import imported"], cwd=source, env=settings, check=True)
    (kept,) = tmp_path.rglob("imported.*.pyc")
    assert kept.is_relative_to(source if beside else environment.folder)


@pytest.mark.parametrize("beside", [False, True])
def test_tests_are_compiled_ahead_where_their_python_has_not_yet(beside: bool, repo_root: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment", (3, 99), "python3")  # no Python there that could be run
    prefix = tmp_path / "bytecode"
    settings = {} if beside else {"PYTHONPYCACHEPREFIX": str(prefix)}
    with pytest.raises(FileNotFoundError):
        bootstrap.compile_ahead(environment, settings, ())
    if beside:
        return  # nothing is written beside the sources here
    kept = prefix.joinpath(*repo_root.parts[1:], "tests")
    kept.mkdir(parents=True)
    for name in ("conftest.cpython-398-pytest-9.pyc", "conftest.cpython-399.pyc"):  # another's, and not pytest's
        (kept / name).touch()
    with pytest.raises(FileNotFoundError):
        bootstrap.compile_ahead(environment, settings, ())
    (kept / "conftest.cpython-399-pytest-9.pyc").touch()
    bootstrap.compile_ahead(environment, settings, ())


def test_every_smoke_test_is_there(repo_root: Path) -> None:
    assert all((repo_root / path).exists() for path in (*bootstrap.SMOKE_TESTS, *bootstrap.SMOKE_LEFT_OUT))
