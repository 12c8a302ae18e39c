"""What set-up does on each system, as plain functions of the system's name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from backend.setting_up import machines as m


@pytest.mark.parametrize("machine", m.NAMES)
def test_supported_machines_are_not_refused(machine: m.Machine) -> None:
    assert m.unsupported(machine) == ""
    assert machine in m.UV_PLATFORMS


@pytest.mark.parametrize(
    "machine", [m.Machine("darwin", "x86_64"), m.Machine("win32", "ARM64"), m.Machine("aix", "ppc")]
)
def test_other_machines_are_named_with_what_is_supported(machine: m.Machine) -> None:
    sentence = m.unsupported(machine)
    assert machine.system in sentence and machine.processor in sentence and "macOS 14" in sentence


def test_the_python_that_runs_is_kept_where_it_has_blender() -> None:
    assert m.fitting_pythons(m.LINUX, (3, 13))[0] == (3, 13)
    assert m.fitting_pythons(m.WINDOWS, (3, 11))[0] == (3, 11)
    assert m.fitting_pythons(m.MACOS, (3, 12)) == [(3, 11), (3, 13), (3, 12)]
    assert m.fitting_pythons(m.LINUX, (3, 9))[0] == (3, 11)


def test_blender_is_a_module_where_wheels_of_it_exist() -> None:
    assert {python: m.blender_module(m.WINDOWS, python) for python in m.PYTHONS} == {
        (3, 11): "4.5",
        (3, 12): None,
        (3, 13): "5.2",
    }
    assert m.blender_module(m.LINUX_ARM, (3, 11)) is None


def test_set_up_says_what_it_takes() -> None:
    assert "CUDA" in m.installed_words(m.LINUX, (3, 11)) and "Blender 4.5" in m.installed_words(m.LINUX, (3, 11))
    assert "CPU" in m.installed_words(m.WINDOWS, (3, 13)) and "Blender 5.2" in m.installed_words(m.WINDOWS, (3, 13))
    assert "no Blender" in m.installed_words(m.MACOS, (3, 12))
    assert m.needed_gigabytes(m.LINUX) > m.needed_gigabytes(m.WINDOWS)


def test_programs_of_an_environment_lie_where_its_system_has_them() -> None:
    assert (
        m.in_environment("/x/.venv", "uv", "linux") == m.in_environment("/x/.venv", "uv", "darwin") == "/x/.venv/bin/uv"
    )
    assert m.in_environment("C:\\x\\.venv", "flowface", "win32") == "C:\\x\\.venv\\Scripts\\flowface.exe"


def test_a_python_is_called_as_its_system_calls_it() -> None:
    assert m.python_commands((3, 13), "linux") == [["python3.13"]]
    assert m.python_commands((3, 13), "win32")[0] == ["py", "-3.13"]


def test_the_pythons_are_those_of_pyproject(repo_root: Path) -> None:
    wanted = SpecifierSet(tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["requires-python"])
    known = [(3, minor) for minor in range(8, 20) if wanted.contains(f"3.{minor}.1")]
    assert sorted(m.PYTHONS) == known
