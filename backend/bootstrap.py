"""Set the project up on a bare machine, then run its demo or its tests: ``python3 backend/bootstrap.py demo|test``.

Standard library only, and nothing newer than Python 3.8's syntax: it must be able to say in words what is missing.
Packages come pinned with hashes from requirements.txt, from wherever this machine's pip and uv are set up to look.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "flowface-setup.txt"
REQUIREMENTS = ROOT / "requirements.txt"
BUILD_REQUIREMENTS = ROOT / "requirements-build.txt"
UV_REQUIREMENTS = ROOT / "requirements-uv.txt"
PYTHON = (3, 11)
NEEDED_BYTES = 12 * 10**9  # installed packages take 7.5 GB, most of it CUDA, and downloads pass through a cache

# What the wheels of bpy, opencv and moderngl load from the system: shared library -> Debian package.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXt.so.6": "libxt6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
}
MESA_DRIVERS = ("lib/*/dri/*_dri.so", "lib*/dri/*_dri.so", "lib/*/libgallium*.so")
MESA_PACKAGE = "libgl1-mesa-dri"


class SetupError(Exception):
    """Set-up cannot go on; the text is a sentence for whoever runs it."""


def say(text: str) -> None:
    print(f"flowface: {text}", flush=True)


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = ROOT) -> int:
    """Run a command with its output shown (in the caller's folder for ``folder=None``); its exit status."""
    try:
        return subprocess.call(command, cwd=folder, env=environment)
    except OSError as error:
        raise SetupError(f"{command[0]} could not be started: {error.strerror}.") from error


def require_python() -> None:
    """Go on in Python 3.11 on Linux x86-64, or say what is needed."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SetupError(
            f"requirements.txt pins packages for Linux on x86_64, and this is {sys.platform} on {platform.machine()}."
        )
    if sys.version_info[:2] == PYTHON:
        return
    other = shutil.which("python3.11")
    if other and os.path.realpath(other) != os.path.realpath(sys.executable):
        os.execv(other, [other, *sys.argv])
    raise SetupError(
        f"Python 3.11 is needed (it is what Blender 4.5's own packages are built for), and this is Python "
        f"{platform.python_version()}; install python3.11 and run the same command with it."
    )


def missing_system_packages() -> list[str]:
    """Debian names of the system libraries that the dynamic linker cannot load."""
    missing = []
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    if not any(path for pattern in MESA_DRIVERS for path in Path("/usr").glob(pattern)):
        missing.append(MESA_PACKAGE)
    return missing


def apt_install(packages: list[str], reason: str) -> None:
    """Install Debian packages as root, or say which ones are needed."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SetupError(f"{reason}; install what Debian calls {names}, then run the same command again.")
    if os.geteuid() != 0:
        raise SetupError(f"{reason}; run `sudo apt-get install {names}`, then the same command again.")
    say(f"installing system packages: {names}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-q"], install):
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            sys.stdout.write(result.stdout.decode(errors="replace"))
            raise SetupError(f"{reason}, and apt-get could not install {names}; its own words are above.")


def ensure_system_libraries() -> None:
    """Have the shared libraries that Blender, OpenCV and headless OpenGL load."""
    missing = missing_system_packages()
    if missing:
        apt_install(missing, "System libraries that Blender and OpenGL load are missing")
        still = missing_system_packages()
        if still:
            raise SetupError(f"After installing, these system libraries still cannot be loaded: {', '.join(still)}.")


def wanted_stamp() -> str:
    """Record of what a finished environment was made from: pins, project settings, version, place and interpreter."""
    digest = hashlib.sha256()
    version = ROOT / "backend" / "__init__.py"
    for path in (UV_REQUIREMENTS, REQUIREMENTS, ROOT / "pyproject.toml", version):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}\n{ROOT}\n{os.path.realpath(sys.executable)}\n"


def environment_ready() -> bool:
    try:
        return STAMP.read_text() == wanted_stamp() and (VENV / "bin" / "python").exists()
    except OSError:
        return False


def runs(command: list[str]) -> bool:
    """Run a command with its output hidden; True where it starts and ends well."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv() -> None:
    """Have a virtual environment with pip; one that does not work (interrupted, moved, other Python) is made anew."""
    python = VENV / "bin" / "python"
    probe = f"import pip, sys; sys.exit(sys.version_info[:2] != {PYTHON} or sys.prefix != {str(VENV)!r})"
    if runs([str(python), "-c", probe]):
        return
    say(f"{'repairing' if VENV.exists() else 'making'} the virtual environment {VENV}")
    if not runs([sys.executable, "-c", "import ensurepip, venv"]):
        apt_install(["python3.11-venv"], "This Python cannot make virtual environments")
    if run([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
        raise SetupError(f"The virtual environment {VENV} could not be made; Python's own words are above.")


def uv_environment() -> dict[str, str]:
    """The environment for uv: the machine's own, plus what pip was told here and uv was not."""
    environment = dict(os.environ)
    environment["VIRTUAL_ENV"] = str(VENV)
    if not any(environment.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")):
        index = pip_setting("index-url")
        if index:
            environment["UV_DEFAULT_INDEX"] = index
    if not environment.get("SSL_CERT_FILE"):
        certificates = pip_setting("cert")
        if certificates:
            environment["SSL_CERT_FILE"] = certificates
        elif Path("/etc/ssl/certs/ca-certificates.crt").exists():
            environment.setdefault("UV_SYSTEM_CERTS", "true")
    return environment


def pip_setting(name: str) -> str:
    """A setting of this machine's pip from the environment or its configuration files; empty where unset."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"), "")
    if value:
        return value
    command = [str(VENV / "bin" / "python"), "-m", "pip", "config", "get", f"global.{name}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return result.stdout.decode().strip() if result.returncode == 0 else ""


def install_uv() -> str:
    """Path of the pinned uv, installed into the environment with the environment's pip."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if run([*command, "--require-hashes", "--no-deps", "-r", str(UV_REQUIREMENTS)]) != 0:
        raise SetupError(
            "pip could not install uv; its own words are above. Check the network connection and this machine's pip "
            "settings (proxy, index, certificates), then run the same command again."
        )
    return str(VENV / "bin" / "uv")


def ensure_environment() -> None:
    """Have .venv hold exactly what requirements.txt pins, and this checkout as an editable package."""
    if environment_ready():
        return
    free = shutil.disk_usage(str(ROOT)).free
    if not VENV.exists() and free < NEEDED_BYTES:
        raise SetupError(
            f"Set-up needs about {NEEDED_BYTES // 10**9} GB of free disk space at {ROOT}, "
            f"and {free / 1e9:.1f} GB are free."
        )
    start = time.monotonic()
    make_venv()
    if STAMP.exists():
        STAMP.unlink()
    uv = install_uv()
    environment = uv_environment()
    say("installing the pinned packages (about 7 GB with CUDA; minutes on a slow line)")
    pinned = [uv, "pip", "install", "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)]
    project = [uv, "pip", "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    if run(pinned, environment) != 0 or run(project, environment) != 0:
        raise SetupError(
            "The pinned packages could not be installed; uv's own words are above. Check the network connection, free "
            "disk space and this machine's pip or uv settings, then run the same command again: it keeps what it has."
        )
    STAMP.write_text(wanted_stamp())
    say(f"set up in {time.monotonic() - start:.0f} s")


def command_demo(arguments: list[str]) -> int:
    return run([str(VENV / "bin" / "flowface"), "demo", *arguments], folder=None)


# Files side by side on two cores, each whole (their fixtures are dear) and in order, so that slow ones do not pile up
# at the end; `-n 0` runs all in one process.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def command_test(arguments: list[str]) -> int:
    """Style, import contracts, types and tests; all run even if one fails, and the exit status says if all passed.

    Types are checked beside the tests: pytest's processes leave a core idle at their start and end.
    """
    python = str(VENV / "bin" / "python")
    steps = {
        "ruff check": [python, "-m", "ruff", "check"],
        "ruff format": [python, "-m", "ruff", "format", "--check"],
        "import contracts": [str(VENV / "bin" / "lint-imports"), "--no-logo"],
        "pytest": [python, "-m", "pytest", *SIDE_BY_SIDE, *arguments],
    }
    failed = []
    types = subprocess.Popen([python, "-m", "mypy"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for name, command in steps.items():
            say(f"running {name}")
            if run(command) != 0:
                failed.append(name)
        say("running mypy")
        words = types.communicate()[0].decode(errors="replace")
    finally:
        types.kill()
    print(words, end="", flush=True)
    if types.returncode != 0:
        failed.append("mypy")
    say(f"failed: {', '.join(failed)}" if failed else "style, contracts, types and tests all pass")
    return 1 if failed else 0


def read_pins(path: Path) -> dict[str, str]:
    """Entries of a requirements file, hashes and line ends included, by ``name==version``; comments dropped."""
    text = path.read_text() if path.exists() else ""
    entries = text.replace("\\\n", "\0").splitlines(keepends=True)
    return {entry.split()[0]: entry.replace("\0", "\\\n") for entry in entries if not entry.startswith("#")}


def resolve(selection: list[str], known: dict[str, str]) -> dict[str, str]:
    """Pins of what ``selection`` (options of uv) asks of pyproject.toml; uv keeps those ``known`` that still fit."""
    command = [str(VENV / "bin" / "uv"), "pip", "compile", "-q", "pyproject.toml", "--generate-hashes"]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-unknown-linux-gnu"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "requirements.txt"
        out.write_text("".join(known.values()))
        if run([*command, *selection, "-o", str(out)], uv_environment()) != 0:
            raise SetupError("uv found no versions that fit together; its own words are above. Nothing was changed.")
        return read_pins(out)


def command_pin(arguments: list[str]) -> int:
    """Write requirements*.txt anew from pyproject.toml; versions pinned there are kept but for ``--upgrade``."""
    if arguments not in ([], ["--upgrade"]):
        raise SetupError(f"pin takes --upgrade or nothing, not {' '.join(arguments)}.")
    wanted = [*("--extra", "demo", "--extra", "evaluate", "--extra", "flame", "--extra", "train")]
    wanted += ["--group", "dev", "--group", "blender"]
    known, known_build = ({}, {}) if arguments else (read_pins(REQUIREMENTS), read_pins(BUILD_REQUIREMENTS))
    base = resolve(wanted, known)
    build = resolve([*wanted, "--extra", "build"], {**known_build, **base})
    header = "# Written by `python3 backend/bootstrap.py pin` from pyproject.toml: exact versions with hashes.\n"
    REQUIREMENTS.write_text(header + "".join(base.values()))
    BUILD_REQUIREMENTS.write_text(header + "".join(build[name] for name in build if name not in base))
    say(f"pinned {len(base)} packages, and {len(build) - len(base)} more for rebuilding the open head")
    return 0


COMMANDS = {"demo": command_demo, "test": command_test, "pin": command_pin}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        usage = "demo [--out FOLDER] | test [--fast] [pytest options] | pin [--upgrade]"
        print(f"usage: python3 backend/bootstrap.py {usage}", file=sys.stderr)
        return 2
    try:
        require_python()
        ensure_system_libraries()
        ensure_environment()
        return COMMANDS[arguments[0]](arguments[1:])
    except SetupError as error:
        print(f"flowface: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nflowface: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
