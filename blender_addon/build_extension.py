"""``python -m blender_addon.build_extension``: pack the add-on as a Blender extension, with the wheels it needs.

Bundles the protocol package and, for each platform, pyzmq and msgpack for Blender's Pythons, downloaded with pip and
checked against the hashes in wheels.txt. Packed and validated by Blender's own tool, which lies inside bpy.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels.txt"
LEFT_OUT = ("__pycache__", "build_extension.py", "headless.py", "wheels.txt")

PYTHON_TAGS = {"msgpack": (("3.11", "cp311"), ("3.13", "cp313")), "pyzmq": (("3.11", "cp311"), ("3.13", "abi3"))}
"""Package → (Python version, ABI) of each wheel: Blender 4.2 to 5.0, and from 5.1 on."""

PLATFORM_TAGS = {
    "linux-x64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_26_x86_64", "manylinux_2_28_x86_64"),
    "linux-arm64": (
        "manylinux2014_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux_2_26_aarch64",
        "manylinux_2_28_aarch64",
    ),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_10_15_universal2"),
    "macos-x64": ("macosx_10_9_x86_64", "macosx_10_13_x86_64", "macosx_10_15_universal2"),
}
"""Blender's names of platforms → pip's."""


class BuildFailed(Exception):  # noqa: N818 - its text is a sentence for whoever builds
    """The reason for which there is no extension."""


def build(out: Path, platforms: Sequence[str]) -> Path:
    """Build and validate the extension for ``platforms`` into the folder ``out``; returns the zip.

    Raises:
        BuildFailed: a tool is missing or failed; says which and why.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "flowface"
        shutil.copytree(HERE, source, ignore=shutil.ignore_patterns(*LEFT_OUT))
        shutil.copytree(HERE.parent / "protocol", source / "protocol", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE.parent / "LICENSE", source / "protocol" / "LICENSE")
        _download_wheels(source / "wheels", platforms)
        complete_manifest(source, platforms)
        suffix = f"-{platforms[0].replace('-', '_')}" if len(platforms) == 1 else ""
        package = out.resolve() / f"flowface-{_version()}{suffix}.zip"
        _blender_ext("build", "--source-dir", str(source), "--output-filepath", str(package))
        _blender_ext("validate", str(package))
    return package


def _version() -> str:
    """The project's version, read and not imported: the add-on must not need the backend."""
    for line in (HERE.parent / "backend" / "__init__.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("__version__ = "):
            return line.split('"')[1]
    raise BuildFailed("backend/__init__.py has no __version__.")


def _download_wheels(folder: Path, platforms: Sequence[str]) -> None:
    pip = _pip()
    for package, pythons in PYTHON_TAGS.items():
        requirement = folder.parent.parent / f"{package}.txt"
        requirement.write_text(_requirement(package), encoding="utf-8")
        for name in platforms:
            for version, abi in pythons:
                command = [*pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
                command += ["--implementation", "cp", "--python-version", version, "--abi", abi]
                command += [part for tag in PLATFORM_TAGS[name] for part in ("--platform", tag)]
                _run([*command, "--dest", str(folder), "--requirement", str(requirement)], f"download {package}")


def _requirement(package: str) -> str:
    """The lines of wheels.txt that pin one package."""
    blocks = WHEELS.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    return next(block for block in blocks if block.startswith(f"{package}=="))


def complete_manifest(source: Path, platforms: Sequence[str]) -> None:
    """Write version, platforms and the wheels of ``source/wheels`` into the manifest in the folder ``source``."""
    wheels = sorted(f"./wheels/{wheel.name}" for wheel in (source / "wheels").iterdir())
    added = f"version = {json.dumps(_version())}\nplatforms = {json.dumps(list(platforms))}\n"
    added += f"wheels = {json.dumps(wheels, indent=2)}\n\n"
    manifest = source / "blender_manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("[permissions]", f"{added}[permissions]"), encoding="utf-8")


def _pip() -> list[str]:
    """A pip: this Python's, that of the Python this environment was made from, or the one on the search path."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    found = shutil.which("pip")
    for command in ([sys.executable, "-m", "pip"], [base, "-m", "pip"], *([[found]] if found else [])):
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    raise BuildFailed("Wheels are downloaded with pip, and no pip was found: install pip for any Python here.")


def _blender_ext(*arguments: str) -> None:
    spec = importlib.util.find_spec("bpy")
    places = spec.submodule_search_locations if spec is not None else None
    pattern = "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    tools = [tool for place in places or () for tool in Path(place).glob(pattern)]
    if not tools:
        raise BuildFailed("Blender's packing tool comes with bpy, which is not installed for this Python.")
    _run([sys.executable, str(tools[0]), *arguments], f"{arguments[0]} the extension")


def _run(command: list[str], deed: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode != 0:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise BuildFailed(f"Could not {deed}: {last[-1] if last else f'exit code {done.returncode}'}")


def _this_platform() -> str:
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x64"
    return f"{ {'Linux': 'linux', 'Windows': 'windows', 'Darwin': 'macos'}.get(platform.system(), 'linux') }-{machine}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.build_extension", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for the zip (default: dist)")
    parser.add_argument(
        "--platform",
        action="append",
        choices=[*PLATFORM_TAGS, "all"],
        help="platform to build for; may be given several times (default: this one)",
    )
    options = parser.parse_args(arguments)
    asked = options.platform or [_this_platform()]
    platforms = list(PLATFORM_TAGS) if "all" in asked else list(dict.fromkeys(asked))
    try:
        print(build(options.out, platforms))
    except (BuildFailed, OSError) as failure:
        print(f"The extension was not built: {failure}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
