"""Stirling/ESRC's scans: one textured OBJ a person and expression, ``M1000_N.obj``, ``F1008_A.obj`` and so on.

Its names are told by who used it (github.com/patrikhuber/fg2018-competition, issues 1 and 2): sex and number, then
letters for the expression, N the neutral.
"""

from __future__ import annotations

import re
from pathlib import Path

from backend.reading import is_file, shown
from backend.training.scans.layouts.types import Folder, Take, entries, nothing_there
from backend.training.scans.mesh import PICTURES

EXPRESSIONS = 8
_NAME = re.compile(r"([FMfm]\d{3,4})_([A-Za-z]{1,3})")


def read_stirling(folder: Path) -> Folder:
    """The scans of ``folder`` and of its folders.

    Raises UserError ``bad_file`` where there is none.
    """
    takes, missing = list[Take](), list[str]()
    for place in [folder, *(path for path in entries(folder) if path.is_dir())]:
        for scan in entries(place):
            named = _NAME.fullmatch(scan.stem)
            if scan.suffix.lower() != ".obj" or named is None:
                continue
            texture = _picture(scan)
            if texture is None:
                missing.append(f"the picture of {shown(scan)}")
            person, expression = named[1].upper(), named[2].upper()
            takes.append(Take(person, expression, scan, texture, neutral=expression == "N"))
    if not takes:
        raise nothing_there(folder, "Stirling/ESRC's scans", "expected M1000_N.obj and so on in it")
    found = Folder(tuple(takes), None)
    for person in found.people:
        names = [take.name for take in takes if take.person == person]
        if "N" not in names:
            missing.append(f"the neutral {person}_N.obj")
        if len(names) < EXPRESSIONS:
            missing.append(f"{EXPRESSIONS - len(names)} of {person}'s {EXPRESSIONS} expressions")
    return Folder(found.takes, None, tuple(missing))


def _picture(scan: Path) -> Path | None:
    beside = (scan.with_suffix(suffix) for suffix in (*PICTURES, *(suffix.upper() for suffix in PICTURES)))
    return next((path for path in beside if is_file(path)), None)
