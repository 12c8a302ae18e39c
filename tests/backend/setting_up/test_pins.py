"""The pins that set-up installs agree with pyproject.toml on every system."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend.setting_up import pins
from backend.setting_up.machines import LINUX, LINUX_ARM, MACOS, NAMES, PYTHONS, WINDOWS, Machine

FILES = (
    "requirements.txt",
    "requirements-build.txt",
    "requirements-openvino.txt",
    "requirements-ray.txt",
    "requirements-uv.txt",
)


def entries(path: Path) -> list[str]:
    """One requirement with its hashes per entry, comments dropped."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


@pytest.mark.parametrize("name", FILES)
def test_every_pin_is_exact_and_hashed_and_names_no_registry(repo_root: Path, name: str) -> None:
    found = entries(repo_root / name)
    assert found
    for pin in found:
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s;]+", pin), pin
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", (repo_root / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_pins_are_read_without_loss(repo_root: Path, name: str) -> None:
    text = (repo_root / name).read_text()
    found = pins.read_pins(repo_root / name)
    assert text.endswith("".join(found.values()))
    assert len(found) == len(entries(repo_root / name)) == len(re.findall(r"^[^#\s]+==", text, flags=re.MULTILINE))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", NAMES)
def test_pins_hold_everything_pyproject_asks_for(repo_root: Path, machine: Machine, python: tuple[int, int]) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *(requirement for extra in pins.EXTRAS for requirement in extras[extra]),
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    here = pins.marker_environment(machine, python)
    names = [
        name for name, entry in pins.read_pins(repo_root / "requirements.txt").items() if pins.applies(entry, here)
    ]
    pinned = {canonicalize_name(name.split("==")[0]): name.split("==")[1] for name in names}
    assert len(pinned) == len(names), "a package is pinned twice"
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate(dict(here)):
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned; run `python3 backend/bootstrap.py pin`"
        assert requirement.specifier.contains(version), f"{requirement} but {version} is pinned"


def test_numpy_1_is_for_the_module_of_blender_4_5_alone(repo_root: Path) -> None:
    found = pins.read_pins(repo_root / "requirements.txt")
    for (_, python), here in pins.EVERYWHERE.items():
        (numpy,) = [name for name, entry in found.items() if name.startswith("numpy==") and pins.applies(entry, here)]
        assert numpy.startswith("numpy==1.26.") == (python == (3, 11))


def test_only_a_marker_that_says_something_is_kept() -> None:
    everywhere = " or ".join(
        f"(python_full_version < '3.14' and platform_machine == '{m.processor}' and sys_platform == '{m.system}')"
        for m in (LINUX, LINUX_ARM, WINDOWS, MACOS)
    )
    assert pins.short_marker(f"a==1 ; {everywhere} \\\n    --hash=sha256:0\n") == "a==1 \\\n    --hash=sha256:0\n"
    pypy = "a==1 ; implementation_name == 'pypy' \\\n    --hash=sha256:0\n"
    assert pins.short_marker(pypy) == ""
    windows = "a==1 ; python_full_version < '3.14' and sys_platform == 'win32' \\\n    --hash=sha256:0\n"
    assert pins.short_marker(windows) == "a==1 ; sys_platform == 'win32' \\\n    --hash=sha256:0\n"
