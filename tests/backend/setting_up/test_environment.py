"""An environment is taken for finished only where it is what is wanted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.setting_up import system_libraries
from backend.setting_up.commands import ROOT
from backend.setting_up.environment import Environment, is_ready, wanted_stamp
from backend.setting_up.pythons import find_python


def test_a_half_made_environment_is_not_ready(tmp_path: Path) -> None:
    environment = Environment(tmp_path, (3, 11), sys.executable)
    python = Path(environment.program("python"))
    python.parent.mkdir()
    python.touch()
    assert not is_ready(environment)
    environment.stamp.write_text(wanted_stamp(environment))
    assert is_ready(environment)
    assert not is_ready(environment._replace(python="/another/python"))
    environment.stamp.write_text(wanted_stamp(environment).replace(str(ROOT), "/somewhere/else"))
    assert not is_ready(environment)


def test_a_missing_library_is_named_by_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(system_libraries.SYSTEM_LIBRARIES, "libflowface-not-there.so.9", "libflowface9")
    assert "libflowface9" in system_libraries.missing_system_packages()


@pytest.mark.skipif(sys.platform == "win32", reason="a script with a first line is no program there")
def test_a_python_is_found_on_the_path_unless_it_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    own = (sys.version_info[0], sys.version_info[1])
    other = (3, own[1] + 1)
    for folder, version in ((tmp_path / "bin", own), (tmp_path / "bin", other)):
        folder.mkdir(exist_ok=True)
        (folder / f"python{version[0]}.{version[1]}").symlink_to(sys.executable)
    assert find_python(other) is None, "it says that it is another version"
    found = find_python(own)
    assert found is not None and Path(found).name == f"python{own[0]}.{own[1]}"


@pytest.mark.skipif(sys.platform == "win32", reason="pyenv has another layout there")
def test_pyenvs_pythons_are_found_where_its_own_command_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (sys.version_info[0], sys.version_info[1])
    shims, versions = tmp_path / "shims", tmp_path / "versions" / f"{own[0]}.{own[1]}.7" / "bin"
    for folder in (shims, versions):
        folder.mkdir(parents=True)
    shim = shims / f"python{own[0]}.{own[1]}"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    (versions / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python(own) == str(versions / "python")
