"""The results of a job's dear steps on disk, so that a job that is killed late does not do the early ones again.

A step's result is written when it is made, and read back before it is used, in a run that was never disturbed as well:
what follows gets the same bits, laid out alike, whenever the step was done. What is kept are arrays and plain values;
reading makes nothing but the types named in ``_types``.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.files import read_npz, write_npz

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]

log = logging.getLogger(__name__)

_PLAIN = "plain"
_MOST_BYTES = 8 << 30  # of a step's result


class KeptSteps:
    """The steps of one job, in a folder of their own."""

    def __init__(self, folder: Path, key: str) -> None:
        """``key`` stands for all that the steps are made from: results with another one are not believed."""
        self._folder, self._key = folder, key

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, or gave when an earlier run of the job did this step. Raises what it does, and OSError
        where the result cannot be written."""
        with suppress(_Nothing):
            return self._read(name)
        self.put(name, make())
        return self._read(name)

    def find(self, name: str) -> Any:
        """The result of a step; None where an earlier run did not do it."""
        try:
            return self._read(name)
        except _Nothing:
            return None

    def put(self, name: str, value: object) -> None:
        """Keep a step's result. Raises OSError where it cannot be written."""
        arrays: Arrays = {}
        plain = {"key": self._key, "value": _to_plain(value, arrays)}
        arrays[_PLAIN] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_npz(self._path(name), arrays, compress=False)

    def within(self, name: str) -> KeptSteps:
        """The steps of a part of the job, under names of their own."""
        return KeptSteps(self._folder / name, self._key)

    def remove(self) -> None:
        """Delete all results, once the job has its own."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

    def _read(self, name: str) -> Any:
        path = self._path(name)
        if not path.is_file():
            raise _Nothing
        try:
            arrays = read_npz(path, "step", _MOST_BYTES)
            plain = json.loads(arrays[_PLAIN].tobytes())
            if plain["key"] == self._key:
                return _from_plain(plain["value"], arrays)
        except (UserError, ValueError, KeyError, TypeError) as error:
            log.warning("the step “%s” is done again: what was kept of it cannot be used (%s)", name, error)
        raise _Nothing


class _Nothing(Exception):  # noqa: N818 - it is no error to have kept nothing
    """Raised where nothing is kept that can be used."""


@cache
def _types() -> Mapping[str, type[Any]]:
    from backend.fitting import FitResult, FittedCamera
    from backend.fitting.neutral import AtRest
    from backend.fitting.types import FittedPoints
    from backend.head_model.model import SurfacePoints
    from backend.observations import PointSet, PointSetId
    from backend.skin_matching.in_time import TimeMatchedFit
    from backend.skin_matching.refine_views import MatchedFit

    of_fits = (FitResult, FittedCamera, FittedPoints, AtRest, MatchedFit, TimeMatchedFit)
    return {cls.__name__: cls for cls in (*of_fits, PointSet, PointSetId, SurfacePoints)}


def _to_plain(value: Any, arrays: Arrays) -> Any:
    """A value as JSON has it; arrays go into ``arrays``, by a name that stands for them."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray):
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if type(value).__name__ in _types():
        names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
        return {"type": type(value).__name__, "fields": {n: _to_plain(getattr(value, n), arrays) for n in names}}
    if isinstance(value, dict):
        return {"map": [[_to_plain(part, arrays) for part in item] for item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_to_plain(part, arrays) for part in value]}
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    raise TypeError(f"a step's result cannot hold {type(value).__name__}")


def _from_plain(plain: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        return np.array(arrays[plain["array"]])
    if "type" in plain:
        return _types()[plain["type"]](**{name: _from_plain(part, arrays) for name, part in plain["fields"].items()})
    if "map" in plain:
        return {_from_plain(name, arrays): _from_plain(part, arrays) for name, part in plain["map"]}
    ((kind, parts),) = plain.items()
    return {"list": list, "tuple": tuple}[kind](_from_plain(part, arrays) for part in parts)
