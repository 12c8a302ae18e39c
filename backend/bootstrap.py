"""Set the project up on a bare machine, then run its demo or its tests: ``python3 backend/bootstrap.py demo|test``.

Standard library only, and nothing newer than Python 3.8's syntax: it must be able to say in words what is missing.
Packages come pinned with hashes from requirements.txt, from wherever this machine's pip and uv are set up to look.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

if (
    __name__ == "__main__"
):  # started as a file: Python then looks in this folder, where files are called as the rooms are
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from backend.setting_up.commands import ROOT, SetupError, run, say, this_machine
from backend.setting_up.environment import Environment, ensure_environment, uv_settings
from backend.setting_up.machines import unsupported
from backend.setting_up.pythons import choose_python, find_python
from backend.setting_up.system_libraries import ensure_system_libraries

SMOKE_PYTHON = (3, 13)
SMOKE_TESTS = (
    *(f"tests/backend/client/test_{name}.py" for name in ("blender", "request", "transfer")),
    "tests/backend/footage",
    "tests/backend/setting_up",
    "tests/backend/track",
    "tests/blender",
    "tests/protocol",
)
"""What depends on numpy and Blender most, and is quick (``--fast``): the suite in .venv has whole jobs."""
SMOKE_LEFT_OUT = tuple(f"tests/blender/retarget/test_{name}.py" for name in ("guess", "mapping_files", "names"))
"""Of them, what reads names and files by rules of our own and asks nothing of Blender that the others do not."""


def set_up() -> Environment:
    """The finished environment that demo and tests run in."""
    version, python = choose_python(this_machine())
    environment = Environment(ROOT / ".venv", version, python)
    ensure_environment(environment)
    return environment


def command_demo(arguments: list[str]) -> int:
    return run([set_up().program("flowface"), "demo", *arguments], folder=None)


# Files side by side on two cores, each whole (their fixtures are dear) and in order, so that slow ones do not pile up
# at the end; `-n 0` runs all in one process. A third process works while others wait, for sockets and starts.
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")


def settings_for_tests(environment: Environment) -> dict[str, str]:
    """Environment variables for tests, whose processes import the same packages a hundred times.

    Where Python is told to write no bytecode beside sources it would compile them anew in every process (torch: two
    seconds); it is kept in the environment's folder then.
    """
    settings = dict(os.environ)
    if settings.pop("PYTHONDONTWRITEBYTECODE", ""):
        settings.setdefault("PYTHONPYCACHEPREFIX", str(environment.folder / "bytecode"))
    return settings


def compile_ahead(environment: Environment, settings: dict[str, str], tests: tuple[str, ...]) -> None:
    """Have bytecode of what ``tests`` import, where there is none of the tests yet.

    Each of the processes side by side would compile all of it at once: 27 s of a core, and 5 s more where torch loads
    its compiler. What goes wrong here is told by the run itself.
    """
    prefix, version = settings.get("PYTHONPYCACHEPREFIX", ""), "".join(map(str, environment.version))
    kept = Path(prefix + str(ROOT)) / "tests" if prefix else ROOT / "tests" / "__pycache__"
    if any(kept.glob(f"*.cpython-{version}-pytest-*.pyc")):
        return
    say("compiling what the tests import")
    optimiser = "with contextlib.suppress(ImportError):\n    import torch._dynamo\n"
    collect = "pytest.main(sys.argv[1:])\nos._exit(0)"  # bpy may hang where Python ends
    program = [environment.program("python"), "-c", f"import contextlib, os, sys, pytest\n{optimiser}{collect}"]
    command = [*program, "--collect-only", "-q", "-n", "0", *tests]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, cwd=ROOT, env=settings, check=False, capture_output=True, timeout=COMPILE_SECONDS)


COMPILE_SECONDS = 300.0
"""Seconds after which compiling ahead has hung: it takes 48 of a core."""
CUDA, HERE = "--cuda", "--here"


def command_cuda(arguments: list[str]) -> int:
    """What runs on a GPU against the CPU's results, and its times, in one JSON file: ``backend.timing.gpu``.

    ``--here`` takes the Python that runs this, with the packages that it has, where none can be fetched.
    """
    python = sys.executable if HERE in arguments else set_up().program("python")
    told = [argument for argument in arguments if argument not in (CUDA, HERE)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return run([python, "-m", "backend.timing.gpu", *told], dict(os.environ, PYTHONPATH=path), folder=None)


def command_test(arguments: list[str]) -> int:
    """Style, import contracts, types, pins and tests; all run even if one fails; the exit status says if all passed.

    Types and pins are checked beside the tests: pytest's processes leave a core idle at their start and end. With
    ``--cuda`` it is ``command_cuda`` instead.
    """
    if CUDA in arguments:
        return command_cuda(arguments)
    environment = set_up()
    python = environment.program("python")
    steps = {
        "ruff check": [python, "-m", "ruff", "check"],
        "ruff format": [python, "-m", "ruff", "format", "--check"],
        "import contracts": [environment.program("lint-imports"), "--no-logo"],
        "pytest": [python, "-m", "pytest", *SIDE_BY_SIDE, *arguments],
    }
    beside = {"mypy": [python, "-m", "mypy"], "pins": [python, "-m", "backend.setting_up.pins", "check"]}
    settings, tests = uv_settings(environment), settings_for_tests(environment)
    failed = []
    running = {
        name: subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name, command in beside.items()
    }
    try:
        compile_ahead(environment, tests, ())
        for name, command in steps.items():
            say(f"running {name}")
            if run(command, tests) != 0:
                failed.append(name)
        for name, process in running.items():
            say(f"running {name}")
            print(process.communicate()[0].decode(errors="replace"), end="", flush=True)
            if process.returncode != 0:
                failed.append(name)
    finally:
        for process in running.values():
            process.kill()
    say(f"failed: {', '.join(failed)}" if failed else "style, contracts, types, pins and tests all pass")
    return 1 if failed else 0


SMOKE_NUMBER = f"{SMOKE_PYTHON[0]}.{SMOKE_PYTHON[1]}"


def smoke_tests() -> tuple[str, ...]:
    """Arguments of pytest that choose the smoke tests."""
    return (*SMOKE_TESTS, *(f"--ignore={path}" for path in SMOKE_LEFT_OUT))


def set_up_smoke() -> Environment:
    """The finished environment of the smoke tests: Python 3.13, numpy 2 and Blender 5.2, beside ``.venv``."""
    python = find_python(SMOKE_PYTHON)
    if python is None:
        raise SetupError(
            f"The smoke tests need Python {SMOKE_NUMBER}, and none was found; install it, or put it on the path."
        )
    environment = Environment(ROOT / f".venv-{SMOKE_NUMBER}", SMOKE_PYTHON, python)
    ensure_environment(environment)
    return environment


def command_smoke(arguments: list[str]) -> int:
    """The smoke tests in their own environment."""
    environment = set_up_smoke()
    start = time.monotonic()
    command = [environment.program("python"), "-m", "pytest", *SIDE_BY_SIDE, "--fast", *smoke_tests(), *arguments]
    status = run(command, settings_for_tests(environment))
    say(f"the smoke tests in Python {SMOKE_NUMBER} {'failed' if status else 'pass'} ({time.monotonic() - start:.0f} s)")
    return 1 if status else 0


def command_set_up(arguments: list[str]) -> int:
    """Make the environment of demo and tests, or that of the smoke tests, whose imports it compiles, too."""
    if arguments not in ([], ["smoke"]):
        raise SetupError(f"set-up takes smoke or nothing, not {' '.join(arguments)}.")
    if arguments:
        environment = set_up_smoke()
        compile_ahead(environment, settings_for_tests(environment), smoke_tests())
    else:
        set_up()
    return 0


def command_pin(arguments: list[str]) -> int:
    """Write requirements*.txt anew from pyproject.toml; versions pinned there are kept but for ``--upgrade``."""
    if arguments not in ([], ["--upgrade"]):
        raise SetupError(f"pin takes --upgrade or nothing, not {' '.join(arguments)}.")
    environment = set_up()
    command = [environment.program("python"), "-m", "backend.setting_up.pins", "write", *arguments]
    return run(command, uv_settings(environment))


COMMANDS = {
    "demo": command_demo,
    "test": command_test,
    "smoke": command_smoke,
    "set-up": command_set_up,
    "pin": command_pin,
}


def main(arguments: list[str]) -> int:
    """Run a command; the exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        cuda = "test --cuda [--here] [--device cpu] [--out FILE]"
        tests = f"test [--fast] [pytest options] | {cuda} | smoke [pytest options]"
        usage = f"demo [--out FOLDER] | {tests} | set-up [smoke] | pin [--upgrade]"
        print(f"usage: python3 backend/bootstrap.py {usage}", file=sys.stderr)
        return 2
    try:
        problem = unsupported(this_machine())
        if problem:
            raise SetupError(problem)
        if HERE not in arguments:
            ensure_system_libraries()
        return COMMANDS[arguments[0]](arguments[1:])
    except SetupError as error:
        print(f"flowface: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nflowface: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
