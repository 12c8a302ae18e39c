"""What a client asks of the folder in which a backend keeps its jobs: how full it is, and that jobs be deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .codec import ProtocolError
from .codes import ProtocolCode
from .message import Message


@dataclass(frozen=True)
class Storage(Message):
    """Ask how much the jobs folder holds; answered by ``StorageReply``."""

    TYPE: ClassVar[str] = "storage"


@dataclass(frozen=True)
class Prune(Message):
    """Delete the oldest jobs until the folder holds at most ``max_bytes``; answered by ``StorageReply``.

    A job that is queued or running is kept, and one whose result nobody has fetched.
    """

    TYPE: ClassVar[str] = "prune"
    max_bytes: int

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for less than nothing."""
        if self.max_bytes < 0:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“prune.max_bytes” must not be below 0.")


@dataclass(frozen=True)
class StorageReply(Message):
    """Reply to ``Storage`` and ``Prune``: the jobs folder on the backend's machine, and what it holds."""

    TYPE: ClassVar[str] = "storage_reply"
    folder: str
    jobs: int
    bytes: int
    bytes_free: int  # on its disk
    deleted: int = 0  # jobs, by this request


@dataclass(frozen=True)
class Remove(Message):
    """Delete a job with everything in its folder; answered by ``Removed``. One that waits or runs is kept."""

    TYPE: ClassVar[str] = "remove"
    job_id: str


@dataclass(frozen=True)
class Removed(Message):
    """The job is no more."""

    TYPE: ClassVar[str] = "removed"
    job_id: str
