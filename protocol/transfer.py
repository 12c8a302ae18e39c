"""The job that gives a face mesh the actions of the open head, and the files that go with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from .bounds import require_path
from .codec import ProtocolError
from .codes import ProtocolCode
from .job import JOBS, Job

DELTAS_FILE = "deltas.npz"
"""Of the result: ``names (A)`` of the actions, ``deltas (A,V,3)`` float16 and ``unit``, of which they are multiples, in
the mesh's own unit and axes; ``figures (n)`` by ``figure_names (n)``, of how well it went."""
SHEET_FILE = "sheet.png"
"""Of the result: each action on the open head and beside it on the mesh."""
FACE_POINTS = (
    "right eye outer corner",
    "right eye inner corner",
    "left eye inner corner",
    "left eye outer corner",
    "nose tip",
    "right mouth corner",
    "left mouth corner",
    "chin",
)
"""Places on a face that a user can give; left and right are the subject's."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class FacePoint:
    """A place on the face of a mesh, in its own unit and axes, by one of ``FACE_POINTS``."""

    name: str
    at: Triple

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for a name that is none."""
        if self.name not in FACE_POINTS:
            raise ProtocolError(
                ProtocolCode.BAD_FIELD, f"“{self.name[:60]}” is no point of a face: there are {', '.join(FACE_POINTS)}."
            )


@dataclass(frozen=True)
class TransferJob(Job):
    """The 52 actions on a face mesh that has none (``DELTAS_FILE``, ``SHEET_FILE``).

    ``mesh`` is a file that the backend can read: an OBJ, or an npz with ``vertices (V,3)`` and ``triangles (F,3)``.
    ``points`` guide it where no face is recognised on pictures of the mesh. ``up`` and ``forward`` are directions in
    the mesh's axes, None where they are to be found.
    """

    KIND: ClassVar[str] = "transfer"
    mesh: str
    points: tuple[FacePoint, ...] = ()
    up: Triple | None = None
    forward: Triple | None = None

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where there is no mesh, or a direction is none."""
        super().__post_init__()
        if not self.mesh:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“job.mesh” must name the mesh's file.")
        require_path(self.mesh, "job.mesh")
        for name in ("up", "forward"):
            direction = getattr(self, name)
            if direction is not None and not 1e-6 < math.hypot(*direction) < 1e6:
                raise ProtocolError(ProtocolCode.BAD_FIELD, f"“job.{name}” must be a direction: three numbers.")
        if len({point.name for point in self.points}) != len(self.points):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“job.points” gives one point twice.")


JOBS[TransferJob.KIND] = TransferJob
