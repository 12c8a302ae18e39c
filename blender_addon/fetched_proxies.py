"""Proxies of takes whose backend is on another machine: fetched with the result, and kept where the add-on may write.

Knows nothing of bpy. Whoever answers does not choose where files are written: of their names only the last part counts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .vendor import take as contract

FOLDER = "proxy"
_UNFIT = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


def name_of(there: str) -> str:
    """The name by which a result has a proxy, from its path on the backend's machine; "" where that is no proxy's."""
    folder, _, name = there.replace("\\", "/").rpartition("/")
    fit = folder.endswith(f"/{FOLDER}") and name.strip(". ") == name != "" and not _UNFIT.search(name)
    return f"{FOLDER}/{name}" if fit else ""


def names_of(take: contract.TakeResult) -> tuple[str, ...]:
    """The names of all proxies of a take."""
    return tuple(dict.fromkeys(name for name in map(name_of, _proxies(take)) if name))


def _proxies(take: contract.TakeResult) -> Iterator[str]:
    yield from (camera.proxy for camera in take.cameras)
    for other in take.others:
        yield from _proxies(other)


class Saving:
    """Writes the proxies of one job in a thread; ``paths`` are there, by name, once it is ``done``."""

    def __init__(self, folder: Path, files: Mapping[str, NDArray[np.uint8]], take: contract.TakeResult) -> None:
        """Begin; what cannot be written is left out."""
        self.take = take
        self.paths: dict[str, Path] = {}
        self._thread = threading.Thread(target=self._run, args=(folder, files), name="FlowFace proxies", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True where all that can be is written."""
        return not self._thread.is_alive()

    def _run(self, folder: Path, files: Mapping[str, NDArray[np.uint8]]) -> None:
        for name in names_of(self.take):
            if name not in files:
                continue
            path = folder / name.rpartition("/")[2]
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[name].data)
            except OSError:
                continue  # the footage itself is shown instead
            self.paths[name] = path
