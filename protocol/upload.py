"""Footage on its way to a backend that does not see the client's files.

A file travels in chunks of ``CHUNK_BYTES``, each with its own SHA-256, and is called by the SHA-256 of those: so that
an upload goes on where it stopped, what was damaged on the way is noticed at once, and the same content travels once.
A job then names it as ``upload:<digest>/<file name>`` wherever it would name a path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .codec import Arrays, ProtocolError
from .codes import ProtocolCode
from .fields import from_plain
from .message import Message

CHUNK_BYTES = 1 << 20
"""Of a file at once: large enough that a round trip costs little, small enough to be a whole message."""
MAX_UPLOAD_BYTES = 1 << 40
MAX_NAME = 200
PREFIX = "upload:"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Uploaded:
    """A file that was sent: its digest, and what it is called."""

    digest: str
    name: str

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for what is no digest, and for names that could be more than a name."""
        _require_digest(self.digest)
        unfit = not self.name or len(self.name.encode("utf-8", "replace")) > MAX_NAME or self.name.startswith(".")
        if unfit or any(letter in '/\\:*?"<>|' or ord(letter) < 32 for letter in self.name):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "An uploaded file has a name that no file here may have.")

    def __str__(self) -> str:
        return f"{PREFIX}{self.digest}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The file that a job's text names; raises ProtocolError (``bad_field``) for anything else."""
        digest, slash, name = text.removeprefix(PREFIX).partition("/")
        if not text.startswith(PREFIX) or not slash:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "This is no uploaded file: expected “upload:<digest>/<name>”.")
        return cls(digest, name)


@dataclass(frozen=True)
class UploadStart(Message):
    """Begin to send a file, or go on with it; answered by ``UploadState``."""

    TYPE: ClassVar[str] = "upload_start"
    digest: str
    size: int

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for what is no digest or no size."""
        _require_digest(self.digest)
        if not 0 < self.size <= MAX_UPLOAD_BYTES:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“upload_start.size” must be 1 byte to 1 TiB.")


@dataclass(frozen=True, eq=False)
class UploadChunk(Message):
    """The next bytes of a file, (n) uint8, with their SHA-256; answered by ``UploadState``."""

    TYPE: ClassVar[str] = "upload_chunk"
    digest: str
    offset: int
    check: str
    data: NDArray[np.uint8]

    def to_wire(self) -> tuple[dict[str, Any], Arrays]:
        """Plain header fields and arrays of this message."""
        return {"digest": self.digest, "offset": self.offset, "check": self.check}, {"data": self.data}

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build the message; raises ProtocolError naming the field or array that is wrong."""
        data = arrays.get("data")
        if data is None or data.dtype != np.uint8 or data.ndim != 1 or not 0 < data.size <= CHUNK_BYTES:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“upload_chunk.data” must be 1 to {CHUNK_BYTES} bytes.")
        return from_plain(cls, {**fields, "data": data}, cls.TYPE)

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for what is no digest and for an offset that no chunk has."""
        _require_digest(self.digest)
        _require_digest(self.check)
        if not 0 <= self.offset < MAX_UPLOAD_BYTES or self.offset % CHUNK_BYTES:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“upload_chunk.offset” must be where a chunk begins.")


@dataclass(frozen=True)
class UploadState(Message):
    """Where an upload stands: ``received`` bytes of ``size``, from which on the rest is wanted."""

    TYPE: ClassVar[str] = "upload_state"
    digest: str
    received: int
    size: int

    @property
    def complete(self) -> bool:
        """True where all of it is there."""
        return self.received >= self.size


def chunks_of(path: Path, start: int = 0) -> Iterator[bytes]:
    """The chunks of a file from the byte ``start`` on, where one begins; raises OSError."""
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def checksum(chunk: bytes) -> str:
    """The SHA-256 of a chunk."""
    return hashlib.sha256(chunk).hexdigest()


def digest_of(checks: Iterable[bytes]) -> str:
    """The digest of a file from the SHA-256 of its chunks, 32 bytes each, in order."""
    whole = hashlib.sha256()
    for check in checks:
        whole.update(check)
    return whole.hexdigest()


def digest_of_file(path: Path, on_read: Callable[[int], None] | None = None) -> str:
    """The digest of a file, which is read for that; ``on_read`` hears of the bytes of each chunk. Raises OSError."""

    def checks() -> Iterator[bytes]:
        for chunk in chunks_of(path):
            if on_read:
                on_read(len(chunk))
            yield hashlib.sha256(chunk).digest()

    return digest_of(checks())


def place_of(texts: Sequence[str]) -> str:
    """The name of the folder in which the backend puts the files of one view, named by these texts, together."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]


def _require_digest(text: str) -> None:
    if not _DIGEST.fullmatch(text):
        raise ProtocolError(ProtocolCode.BAD_FIELD, "A digest must be 64 hexadecimal digits.")
