"""Where the files lie here that were sent to backends on other machines, so that results show this machine's footage.

Kept in a file of the add-on's, because a result may be fetched by a later Blender. Knows nothing of bpy.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .fetched_proxies import name_of
from .vendor import take as contract

MOST_PLACES = 500
"""Views whose files are remembered: the oldest are forgotten first."""
MAX_BYTES = 64 << 20


class SentFiles:
    """By the folder that the backend puts a view's files in (``protocol.upload.place_of``): their folder here, and the
    names of those that are called otherwise there. May be used by several threads."""

    def __init__(self, path: Path | None) -> None:
        """Read what was kept; None keeps it for as long as this Blender runs."""
        self._path = path
        self._lock = threading.Lock()
        self._places: dict[str, tuple[str, dict[str, str]]] = {} if path is None else _read(path)

    @property
    def kept(self) -> bool:
        """True where it outlives this Blender."""
        return self._path is not None

    def remember(self, place: str, files: Mapping[str, Path]) -> None:
        """Files that lie in one folder here, by their names there."""
        folder = next(iter(files.values())).parent
        renamed = {name: path.name for name, path in files.items() if path.name != name}
        with self._lock:
            self._places.pop(place, None)
            self._places[place] = str(folder), renamed
            for oldest in list(self._places)[:-MOST_PLACES]:
                del self._places[oldest]
            if self._path is not None:
                with contextlib.suppress(OSError):  # then it is known as long as this Blender runs
                    _write(self._path, self._places)

    def proxies(self, job_id: str) -> Path | None:
        """The folder for the proxies of a job; None where nothing is kept."""
        plain = "".join(letter for letter in job_id if letter.isalnum() or letter == "-")
        return None if self._path is None or not plain else self._path.with_name("proxies") / plain

    def localised(self, take: contract.TakeResult, proxies: Mapping[str, Path]) -> contract.TakeResult:
        """A take with this machine's footage instead of the backend's copies, where it was sent from here, and with
        those of its ``proxies`` that were fetched, by name."""
        cameras = tuple(
            replace(
                camera,
                footage=self._here(camera.footage),
                footage_files=self._names(camera.footage, camera.footage_files),
                proxy=str(proxies.get(name_of(camera.proxy), "")),
            )
            for camera in take.cameras
        )
        return replace(take, cameras=cameras, others=tuple(self.localised(one, proxies) for one in take.others))

    def _here(self, there: str) -> str:
        place, name = _last_two(there)
        if place not in self._places:
            return there
        folder, renamed = self._places[place]
        return str(Path(folder) / renamed.get(name, name))

    def _names(self, there: str, names: Sequence[str]) -> tuple[str, ...]:
        renamed = self._places.get(_last_two(there)[0], ("", {}))[1]
        return tuple(renamed.get(name, name) for name in names)


def _last_two(path: str) -> tuple[str, str]:
    parts = ["", *path.replace("\\", "/").split("/")]
    return parts[-2], parts[-1]


def _read(path: Path) -> dict[str, tuple[str, dict[str, str]]]:
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(MAX_BYTES))
        return {
            str(place): (str(folder), {str(name): str(here) for name, here in renamed.items()})
            for place, (folder, renamed) in data.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write(path: Path, places: Mapping[str, tuple[str, dict[str, str]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    unfinished.write_text(json.dumps(places, ensure_ascii=False), encoding="utf-8")
    unfinished.replace(path)
