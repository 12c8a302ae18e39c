"""Everything that add-on and backend say to each other, as frozen dataclasses.

The client (add-on or command line) sends a request with an id of its choice and gets one reply with the same id, or an
``Error``. ``Progress`` is pushed with the id of the request that subscribed. Frame numbers count as
``backend.track.types.Track.frames`` does; boxes and points are pixels of the picture as displayed, (0,0) its top-left
corner.

A new verb is a new class in ``MESSAGES``; a new field needs a default. Neither raises ``PROTOCOL_VERSION``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .codec import Arrays, Frame, ProtocolError, decode, encode, request_of
from .codes import ProtocolCode
from .corrections import HeldKey as HeldKey
from .corrections import Mask as Mask
from .corrections import Pin as Pin
from .fields import from_plain, to_plain
from .health import Health as Health
from .job import JOBS as JOBS
from .job import NEUTRAL_PREDICTORS as NEUTRAL_PREDICTORS
from .job import CameraSpec as CameraSpec
from .job import DistortionModel as DistortionModel
from .job import ExportJob as ExportJob
from .job import FaceChoice as FaceChoice
from .job import FollowingJob as FollowingJob
from .job import Job as Job
from .job import RefineJob as RefineJob
from .job import TrackJob as TrackJob
from .job import ViewSpec as ViewSpec
from .message import Message as Message
from .offers import AlignerInfo as AlignerInfo
from .offers import ExportInfo as ExportInfo
from .offers import HeadInfo as HeadInfo
from .offers import WeightsInfo as WeightsInfo
from .options import SolveOptions as SolveOptions
from .photographs import MOST_PHOTOGRAPHS as MOST_PHOTOGRAPHS
from .photographs import PhotographsJob as PhotographsJob
from .states import FINAL_STATES
from .states import JobState as JobState
from .states import WorkerState as WorkerState
from .storage import Prune as Prune
from .storage import Remove as Remove
from .storage import Removed as Removed
from .storage import Storage as Storage
from .storage import StorageReply as StorageReply
from .take import TakeResult
from .take_codec import take_from_wire, take_to_wire
from .transfer import DELTAS_FILE as DELTAS_FILE
from .transfer import FACE_POINTS as FACE_POINTS
from .transfer import SHEET_FILE as SHEET_FILE
from .transfer import FacePoint as FacePoint
from .transfer import TransferJob as TransferJob
from .upload import UploadChunk as UploadChunk
from .upload import UploadStart as UploadStart
from .upload import UploadState as UploadState
from .version import PROTOCOL_VERSION, is_spoken, mismatch_sentence

RESULT_FILES = ("track.npz", "alignments.npz", "report.json")
"""Files that a tracked take leaves."""


@dataclass(frozen=True)
class Problem:
    """A failure: a stable code, one sentence, and what to do about it."""

    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True)
class JobStatus:
    """A job's status. ``stage`` is in words; ``fraction`` of the whole job is in 0…1; times are seconds."""

    job_id: str
    name: str
    state: JobState
    stage: str = ""
    fraction: float = 0.0
    frames_done: int = 0  # of this stage
    frames_total: int = 0  # 0 while unknown
    seconds_elapsed: float = 0.0
    seconds_remaining: float | None = None  # None while nothing is known
    queue_position: int = 0  # jobs ahead of this one
    footage: str = ""
    created: str = ""  # ISO 8601, UTC
    problem: Problem | None = None  # of a failed or interrupted job; of a queued one what it waits for
    partial: int = 0  # while it runs: how many partial takes it has made; ``Result.partial`` asks for the latest
    kind: str = TrackJob.KIND
    fetched: bool = False  # somebody has fetched its result
    attempts: int = 0  # how often it was started
    bytes: int = 0  # that its folder took when it ended; 0 while unknown
    owner: str = ""  # the name of the trusted client whose job it is; "" for the backend's own user

    @property
    def finished(self) -> bool:
        """True where nothing more will happen to this job."""
        return self.state in FINAL_STATES


@dataclass(frozen=True)
class Hello(Message):
    """First message of every client; answered by ``Welcome``."""

    TYPE: ClassVar[str] = "hello"
    client: str = "add-on"  # how sentences about this client call it: "add-on", "command line"
    client_version: str = ""


@dataclass(frozen=True)
class Welcome(Message):
    """The answer to a greeting, with who answers; ``device`` is empty until the worker has looked."""

    TYPE: ClassVar[str] = "welcome"
    backend_version: str
    pid: int
    worker: WorkerState = WorkerState.STARTING
    device: str = ""
    capabilities: tuple[str, ...] = ()  # the request types this backend answers
    kinds: tuple[str, ...] = ()  # the kinds of job that it does; none are named by backends from before they were told
    reads_paths: bool = True  # of this client's machine; False: footage has to be sent (``upload``)
    health: Health | None = None  # told to the backend's own user


@dataclass(frozen=True)
class Heads(Message):
    """Ask which heads, aligners and exports a job may name; answered by ``HeadList``."""

    TYPE: ClassVar[str] = "heads"


@dataclass(frozen=True)
class HeadList(Message):
    """Reply to ``Heads``. ``aligners`` are the names alone, for clients from before there was more to say of them."""

    TYPE: ClassVar[str] = "head_list"
    heads: tuple[HeadInfo, ...]
    aligners: tuple[str, ...] = ()
    aligner_infos: tuple[AlignerInfo, ...] = ()
    exports: tuple[ExportInfo, ...] = ()
    weights: tuple[WeightsInfo, ...] = ()

    @property
    def described_aligners(self) -> tuple[AlignerInfo, ...]:
        """The aligners; of those of a backend that does not describe them, the names."""
        return self.aligner_infos or tuple(AlignerInfo(name) for name in self.aligners)


@dataclass(frozen=True)
class Submit(Message):
    """Queue a job; answered by ``Submitted``, then by pushed ``Progress`` while ``subscribe``.

    Asked again with the same ``token`` (32 hexadecimal digits, made by the client for each job) the backend answers the
    job that is there already, whatever has become of it, and never makes a second: a client that got no answer may ask
    again, of a later backend as well.
    """

    TYPE: ClassVar[str] = "submit"
    job: Job
    subscribe: bool = True
    token: str = ""

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for what is no token."""
        if self.token and not re.fullmatch(r"[0-9a-f]{32}", self.token):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“submit.token” must be 32 hexadecimal digits in lower case.")


@dataclass(frozen=True)
class Submitted(Message):
    """The job is on disk and queued."""

    TYPE: ClassVar[str] = "submitted"
    job: JobStatus


@dataclass(frozen=True)
class Status(Message):
    """Ask where a job stands; answered by ``StatusReply``, then by pushed ``Progress`` while ``subscribe``."""

    TYPE: ClassVar[str] = "status"
    job_id: str
    subscribe: bool = False


@dataclass(frozen=True)
class StatusReply(Message):
    """Reply to ``Status`` and ``Cancel``."""

    TYPE: ClassVar[str] = "job_status"
    job: JobStatus


@dataclass(frozen=True)
class Progress(Message):
    """Pushed whenever a subscribed job moves on; the last one is in a final state."""

    TYPE: ClassVar[str] = "progress"
    job: JobStatus


@dataclass(frozen=True)
class Result(Message):
    """Ask for what a finished job has left: its take if it has one, and the bytes of the files named, or of all.

    ``partial``: while the job runs, its latest partial take will do, which comes without files. ``ResultReply.job``
    says which of the two came.
    """

    TYPE: ClassVar[str] = "result"
    job_id: str
    files: tuple[str, ...] = ()
    all_files: bool = False
    partial: bool = False
    cut: bool = True  # arrays may come in several parts; not so where a client from before that asks

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:  # noqa: ARG003 - as the base
        """Build the message; raises ProtocolError naming the field that is wrong."""
        return from_plain(cls, {"cut": False, **fields}, cls.TYPE)


@dataclass(frozen=True, eq=False)
class ResultReply(Message):
    """The results of a job: a take or none, as its kind is, and the bytes (uint8 arrays) of files by name."""

    TYPE: ClassVar[str] = "take"
    job: JobStatus
    take: TakeResult | None = None
    files: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def to_wire(self) -> tuple[dict[str, Any], Arrays]:
        """Plain header fields and arrays of this message."""
        take, arrays = (None, {}) if self.take is None else take_to_wire(self.take)
        arrays |= {f"file/{name}": data for name, data in self.files.items()}
        return {"job": to_plain(self.job), "take": take, "files": list(self.files)}, arrays

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build the message; raises ProtocolError naming the field or array that is wrong."""
        job = from_plain(JobStatus, fields.get("job"), "take.job")
        names = fields.get("files", [])
        if not isinstance(names, list) or not all(isinstance(name, str) and f"file/{name}" in arrays for name in names):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“take.files” names a file that did not come.")
        files = {name: arrays[f"file/{name}"] for name in names}
        if any(data.dtype != np.uint8 or data.ndim != 1 for data in files.values()):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“take.files” must be plain bytes.")
        take = fields.get("take")
        return cls(job, None if take is None else take_from_wire(take, arrays), files)


@dataclass(frozen=True)
class Cancel(Message):
    """Stop a job; answered by ``StatusReply`` at once, the pushed ``Progress`` says when it has stopped."""

    TYPE: ClassVar[str] = "cancel"
    job_id: str


@dataclass(frozen=True)
class Jobs(Message):
    """Ask for the latest jobs, those of earlier clients and backends included; answered by ``JobList``."""

    TYPE: ClassVar[str] = "jobs"
    limit: int = 50


@dataclass(frozen=True)
class JobList(Message):
    """Reply to ``Jobs``, newest first."""

    TYPE: ClassVar[str] = "job_list"
    jobs: tuple[JobStatus, ...]


@dataclass(frozen=True)
class Shutdown(Message):
    """Stop the backend; the next one on its folder takes up unfinished jobs. Answered by ``Goodbye``."""

    TYPE: ClassVar[str] = "shutdown"


@dataclass(frozen=True)
class Goodbye(Message):
    """The backend stops."""

    TYPE: ClassVar[str] = "goodbye"


@dataclass(frozen=True)
class Error(Message):
    """A request that was not carried out. The one message that is read whatever version its sender speaks."""

    TYPE: ClassVar[str] = "error"
    code: str
    message: str
    hint: str = ""


MESSAGES: dict[str, type[Message]] = {
    cls.TYPE: cls
    for cls in (
        *(Hello, Welcome, Heads, HeadList, Submit, Submitted, Status, StatusReply, Progress),
        *(UploadStart, UploadChunk, UploadState),
        *(Result, ResultReply, Cancel, Jobs, JobList, Storage, Prune, StorageReply, Remove, Removed),
        *(Shutdown, Goodbye, Error),
    )
}


def pack(message: Message, request: int, protocol: int = PROTOCOL_VERSION, *, cut: bool = False) -> list[Frame]:
    """Frames of a message under a request id, in the version that its receiver speaks.

    With ``cut``, large arrays come in several (``codec.encode``).

    Raises:
        ProtocolError: the message holds something that cannot travel or is too large.
    """
    fields, arrays = message.to_wire()
    return encode({**fields, "type": message.TYPE, "protocol": protocol, "request": request}, arrays, cut=cut)


def unpack(frames: Sequence[Frame], *, client_name: str | None = None) -> tuple[Message, int]:
    """Message and request id from frames; as ``read``."""
    message, request, _ = read(frames, client_name=client_name)
    return message, request


def read(frames: Sequence[Frame], *, client_name: str | None = None) -> tuple[Message, int, int]:
    """Message, request id and protocol version from frames, the last 0 where it is none.

    A client gives its name for the sentence about versions, the backend None.

    Raises:
        ProtocolError: with ``request`` set where it could be read: ``wrong_protocol``, ``unknown_type``, ``bad_field``,
            ``bad_header``, ``bad_array``, ``too_large``. No other exception, whatever the bytes.
    """
    header, arrays = decode(frames)
    request, version, kind = request_of(header), header.get("protocol"), header.get("type")
    if request is None:
        raise ProtocolError(ProtocolCode.BAD_HEADER, "The message has no request id.")
    if kind != Error.TYPE and not is_spoken(version):
        raise ProtocolError(ProtocolCode.WRONG_PROTOCOL, _mismatch(header, client_name), request=request)
    cls = MESSAGES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ProtocolError(
            ProtocolCode.UNKNOWN_TYPE, f"Nobody here knows the message type “{str(kind)[:80]}”.", request=request
        )
    try:
        return cls.from_wire(header, arrays), request, version if type(version) is int else 0
    except ProtocolError as error:
        error.request = request
        raise


def _mismatch(header: Mapping[str, Any], client_name: str | None) -> str:
    theirs = header.get("protocol")
    shown = theirs if isinstance(theirs, int) else "an unknown version"
    if client_name is not None:
        return mismatch_sentence(client_name, PROTOCOL_VERSION, shown)
    client = header.get("client")
    return mismatch_sentence(client[:40] if isinstance(client, str) else "client", shown, PROTOCOL_VERSION)
