"""Tests that want more than a checkout run only where the command line asks for them."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SAMPLE = """
import pytest

@pytest.fixture
def shared_data():
    return None

def test_plain(): pass
def test_real(shared_data): pass
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.build
def test_build(): pass
@pytest.mark.gui
@pytest.mark.slow
def test_gui(): pass
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"plain", "real", "slow"}),
        (["-m", "slow"], {"slow"}),
        (["-m", "not slow"], {"plain", "real"}),
        (["-m", "real"], {"real"}),
        (["-k", "gui or plain"], {"plain"}),
        (["-m", "gui"], {"gui"}),
        (["-m", "build or slow"], {"build", "slow"}),
        (["-m", "not build"], {"plain", "real", "slow"}),
        (["--fast"], {"plain"}),
        (["--fast", "-m", "build"], {"build"}),
    ],
)
def test_what_a_command_line_runs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: set[str]
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading them anew for every case is slow
    pytester.makeconftest("from tests.conftest import pytest_addoption, pytest_collection_modifyitems  # noqa: F401")
    pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nmarkers = ['build', 'gui', 'real', 'slow']\naddopts = '--strict-markers'"
    )
    pytester.makepyfile(SAMPLE)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only", "-q", *options)
    assert {line.split("::test_")[1] for line in result.outlines if "::test_" in line} == expected
