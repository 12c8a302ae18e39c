"""Writes and checks the pinned packages: ``python -m backend.setting_up.pins write [--upgrade] | check``.

One resolution of pyproject.toml for every system and Python (uv's universal one), from wheels alone, with hashes. Runs
in the project's own environment: unlike the rest of this room it needs ``packaging`` and uv.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.markers import Marker

from backend.setting_up.machines import NAMES, OLDEST_MACOS, PYTHONS, UV_PLATFORMS, Machine

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
FURTHER = {extra: ROOT / f"requirements-{extra}.txt" for extra in ("build", "openvino", "ray")}
"""Extras that set-up leaves out: what each takes besides, in a file of its own."""
HEADER = "# Written by `python3 backend/bootstrap.py pin` from pyproject.toml: exact versions with hashes.\n"

EXTRAS = ("blender", "demo", "evaluate", "flame", "train")
SELECTION = (*(part for extra in EXTRAS for part in ("--extra", extra)), "--group", "dev")
MOST_SHOWN = 20
OS_NAMES = {"linux": ("posix", "Linux"), "win32": ("nt", "Windows"), "darwin": ("posix", "Darwin")}


class PinsError(Exception):
    """The packages cannot be pinned, or not be checked; the text is a sentence."""


class NoRegistryError(PinsError):
    """No package registry answers."""


def read_pins(path: Path) -> dict[str, str]:
    """Entries of a requirements file, hashes and line ends included, by ``name==version``; comments dropped."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    entries = text.replace("\\\n", "\0").splitlines(keepends=True)
    return {entry.split()[0]: entry.replace("\0", "\\\n") for entry in entries if not entry.startswith("#")}


def marker_environment(machine: Machine, python: tuple[int, int]) -> dict[str, str]:
    """What environment markers mean on a machine with this Python."""
    number = "{}.{}".format(*python)
    os_name, system = OS_NAMES[machine.system]
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{number}.9",
        "os_name": os_name,
        "platform_machine": machine.processor,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": f"{number}.9",
        "python_version": number,
        "sys_platform": machine.system,
    }


EVERYWHERE = {(machine, python): marker_environment(machine, python) for machine in NAMES for python in PYTHONS}


def _without_hashes(entry: str) -> str:
    return entry.split(" \\\n")[0]


def applies(entry: str, environment: dict[str, str]) -> bool:
    """Whether an entry of a requirements file is for this environment."""
    marker = _without_hashes(entry).partition(" ; ")[2]
    return not marker or Marker(marker).evaluate(environment)


def short_marker(entry: str) -> str:
    """An entry without what its marker says in vain; "" for one that holds on no machine.

    uv spells out every environment, and the bound on Python that pyproject.toml has, in every line.
    """
    held = [applies(entry, environment) for environment in EVERYWHERE.values()]
    if not any(held):
        return ""
    if all(held):
        return re.sub(r" ; .*? \\\n", " \\\\\n", entry, count=1)
    return entry.replace(" and python_full_version < '3.14'", "").replace("python_full_version < '3.14' and ", "")


def compile_pins(options: list[str], out: Path) -> None:
    """Have uv resolve pyproject.toml from wheels alone into the file ``out``.

    Raises:
        PinsError: uv found no versions that fit; its words are in the text.
        NoRegistryError: nothing answers where uv looks for packages.
    """
    uv = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
    command = [str(uv), "pip", "compile", "-q", "pyproject.toml", "--generate-hashes", "--only-binary", ":all:"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "-o", str(out)]
    settings = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": OLDEST_MACOS}
    done = subprocess.run([*command, *options], cwd=ROOT, env=settings, capture_output=True, encoding="utf-8")
    if done.returncode == 0:
        return
    probe = [str(uv), "pip", "compile", "-q", "--no-deps", "--refresh", "-"]
    if subprocess.run(probe, cwd=ROOT, capture_output=True, encoding="utf-8", input="packaging\n").returncode != 0:
        raise NoRegistryError("no package registry answers with this machine's uv settings")
    raise PinsError(f"uv found no versions that fit together, and says: {done.stderr.strip()}")


def resolve(selection: tuple[str, ...], known: dict[str, str]) -> dict[str, str]:
    """Pins for every machine of what ``selection`` (options of uv) asks of pyproject.toml; ``known`` ones are kept."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "requirements.txt"
        # without their hashes: uv would keep those, and take a machine that is new for one without wheels
        out.write_text("".join(f"{_without_hashes(entry)}\n" for entry in known.values()), encoding="utf-8")
        compile_pins(["--universal", "--python-version", "3.11", *selection], out)
        shortened = {name: short_marker(entry) for name, entry in read_pins(out).items()}
    return {name: entry for name, entry in shortened.items() if entry}


def write(upgrade: bool) -> str:
    """Write the requirements files anew; versions pinned there are kept unless ``upgrade``."""
    base = resolve(SELECTION, {} if upgrade else read_pins(REQUIREMENTS))
    REQUIREMENTS.write_text(HEADER + "".join(base.values()), encoding="utf-8")
    said = [f"pinned {len(base)} packages"]
    for extra, path in FURTHER.items():
        known = base if upgrade else {**read_pins(path), **base}
        found = resolve((*SELECTION, "--extra", extra), known)
        more = {name: entry for name, entry in found.items() if base.get(name) != entry}  # on more machines, too
        path.write_text(HEADER + "".join(more.values()), encoding="utf-8")
        said.append(f"{len(more)} more for the extra “{extra}”")
    return ", ".join(said)


def check_one(machine: Machine, python: tuple[int, int]) -> list[str]:
    """Sentences on what uv, asked for one machine and Python alone, finds otherwise than requirements.txt says.

    It may take wheels only, so that every pin of that machine is known to have one, and a pinned hash of it.
    """
    here = EVERYWHERE[machine, python]
    pinned = {name: entry for name, entry in read_pins(REQUIREMENTS).items() if applies(entry, here)}
    where = f"{NAMES[machine]}, Python {python[0]}.{python[1]}"
    with tempfile.TemporaryDirectory() as folder:
        versions, out = Path(folder) / "versions.txt", Path(folder) / "pylock.toml"
        versions.write_text("\n".join(pinned), encoding="utf-8")
        options = ["--python-platform", UV_PLATFORMS[machine], "--python-version", f"{python[0]}.{python[1]}"]
        try:
            compile_pins([*options, *SELECTION, "--constraint", str(versions), "--format", "pylock.toml"], out)
        except NoRegistryError:
            raise
        except PinsError as error:
            return [f"{where}: {error}"]
        packages = tomllib.loads(out.read_text(encoding="utf-8"))["packages"]
    wheels = {
        f"{package['name']}=={package['version']}": {wheel["hashes"]["sha256"] for wheel in package.get("wheels", [])}
        for package in packages
    }
    problems = [f"{where}: {name} is needed and not pinned" for name in sorted(wheels.keys() - pinned.keys())]
    problems += [f"{where}: {name} is pinned and not needed" for name in sorted(pinned.keys() - wheels.keys())]
    for name in sorted(wheels.keys() & pinned.keys()):
        if not wheels[name] & set(re.findall(r"sha256:(\w+)", pinned[name])):
            problems.append(f"{where}: no wheel of {name} has a pinned hash")
    return problems


def check() -> list[str]:
    """``check_one`` of every machine and Python."""
    with ThreadPoolExecutor(len(NAMES)) as pool:
        return [problem for found in pool.map(lambda pair: check_one(*pair), EVERYWHERE) for problem in found]


def main(arguments: list[str]) -> int:
    """Write or check the pins; the exit status. Without a registry a check fails in CI and is left out elsewhere."""
    try:
        if arguments[0] == "write":
            print(f"flowface: {write(upgrade='--upgrade' in arguments)}")
            return 0
        problems = check()
    except NoRegistryError as error:
        print(f"flowface: pinned wheels were NOT checked: {error}", file=sys.stderr)
        return 1 if arguments[0] == "write" or os.environ.get("CI") else 0
    except PinsError as error:
        print(f"flowface: {error}", file=sys.stderr)
        return 1
    for problem in [*problems[:MOST_SHOWN], *(["…"] if len(problems) > MOST_SHOWN else [])]:
        print(problem, file=sys.stderr)
    said = f"every pin has a wheel on {len(NAMES)} systems with {len(PYTHONS)} Pythons"
    print(f"flowface: {len(problems)} problems with the pins" if problems else f"flowface: {said}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
