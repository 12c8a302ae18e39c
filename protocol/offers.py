"""The offers of a backend, as it tells its clients: heads, aligners, exports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadInfo:
    """A head model that is ready to use."""

    id: str
    description: str = ""
    licence: str = ""
    vertices: int = 0
    expressions: int = 0


@dataclass(frozen=True)
class ExportInfo:
    """A kind of file that a take can be written as. ``help`` says in a few words what is in it, without a full stop."""

    name: str  # in jobs
    title: str  # for users
    suffix: str  # of the file, with its dot; of a folder ".zip", as which a job leaves it
    help: str = ""
    folder: bool = False  # it is a folder of files: ``protocol.packed_folder``


@dataclass(frozen=True)
class AlignerInfo:
    """A way of finding the face's points. ``good_at`` and ``speed`` are a few words each, without a full stop."""

    name: str  # in jobs
    title: str = ""  # for users; "" for the name
    good_at: str = ""
    speed: str = ""
    takes_weights: bool = False  # ``SolveOptions.weights`` says something to it


@dataclass(frozen=True)
class WeightsInfo:
    """Weights that the backend's user adapted to an actor and a camera; ``name`` may stand in ``SolveOptions.weights``.

    ``about`` is a few words, without a full stop: what they were adapted to.
    """

    name: str
    about: str = ""
