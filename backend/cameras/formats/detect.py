"""Which format a calibration file is of, by its name and its content, and its cameras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.cameras.formats import colmap_binary, colmap_text, kalibr
from backend.cameras.formats.bounded import read_text
from backend.cameras.formats.colmap_models import UNIT as COLMAP_UNIT
from backend.cameras.formats.nerfstudio import is_transforms, nerfstudio_cameras
from backend.cameras.formats.opencv import opencv_cameras
from backend.cameras.formats.plain import Fault, parse_json
from backend.cameras.formats.plain_xml import parse_opencv_xml
from backend.cameras.formats.plain_yaml import parse_yaml
from backend.cameras.named import NamedCamera, bad_calibration

PLAIN_SUFFIXES = (".json", ".yml", ".yaml", ".xml")
BINARY = (colmap_binary.CAMERAS, colmap_binary.IMAGES)
TEXT = (colmap_text.CAMERAS, colmap_text.IMAGES)
SPARSE = ("sparse/0", "sparse")
"""Folders in which COLMAP and those who read it keep a model beside the pictures."""
MAX_FILES = 1000
MAX_FOLDER_BYTES = 64 << 20


def calibration_files(path: Path) -> list[Path]:
    """The files to read at a path: itself, or those of a folder; a COLMAP model counts as one file.

    Raises:
        UserError: ``bad_calibration`` where a folder holds nothing that is read, or far too much.
    """
    if not path.is_dir():
        return [path]
    for folder in (path, *(path / name for name in SPARSE)):
        for names in (BINARY, TEXT):
            if all((folder / name).exists() for name in names):
                return [folder / names[0]]
        for names in (BINARY, TEXT):
            if (folder / names[0]).exists():
                return [folder / names[0]]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PLAIN_SUFFIXES)
    if not files:
        raise bad_calibration(path, "the folder holds neither a COLMAP model nor JSON, YAML or XML files")
    if len(files) > MAX_FILES:
        raise bad_calibration(path, f"the folder holds more than {MAX_FILES} JSON, YAML or XML files", "Name one.")
    if sum(file.stat().st_size for file in files) > MAX_FOLDER_BYTES:
        raise bad_calibration(
            path, f"the JSON, YAML and XML files in the folder are larger than {MAX_FOLDER_BYTES >> 20} MB", "Name one."
        )
    return files


def read_calibration_file(path: Path) -> tuple[list[NamedCamera], str]:
    """The cameras of a file, and its own word for the unit of its positions ("" where it has none).

    Raises:
        UserError: ``bad_calibration`` and ``calibration_image_size``.
        OSError: the file cannot be read.
    """
    if path.name in BINARY:
        return list(colmap_binary.read_colmap_binary(path.parent)), COLMAP_UNIT
    if path.name in TEXT:
        return list(colmap_text.read_colmap_text(path.parent)), COLMAP_UNIT
    if path.suffix.lower() not in PLAIN_SUFFIXES:
        raise bad_calibration(
            path,
            "its name ends in none of " + ", ".join(PLAIN_SUFFIXES),
            "See the README for the calibration files that are read.",
        )
    try:
        root = _plain(path.suffix.lower(), read_text(path))
    except Fault as fault:
        raise bad_calibration(path, str(fault)) from fault
    if not isinstance(root, Mapping):
        raise bad_calibration(path, "it is not a map of named values")
    return _cameras(path, root)


def _plain(suffix: str, text: str) -> Any:
    """The values of a text, by its suffix, or by what it plainly is where that says something else."""
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start == "<":
        return parse_opencv_xml(text.lstrip("\ufeff"))
    if suffix == ".xml":
        raise Fault("it is not XML: that begins with <")
    if suffix == ".json":
        return parse_json(text)
    if start == "{":
        try:
            return parse_json(text)
        except Fault:
            return parse_yaml(text)
    return parse_yaml(text)


def _cameras(path: Path, root: Mapping[str, Any]) -> tuple[list[NamedCamera], str]:
    if is_transforms(root):
        return list(nerfstudio_cameras(path, root)), "unknown"
    if kalibr.is_camchain(root):
        return list(kalibr.kalibr_cameras(path, root)), kalibr.UNIT
    unit = root.get("unit", root.get("units", ""))
    return list(opencv_cameras(path, root)), unit if isinstance(unit, str) else "unknown"
