"""Clips tracked on a Ray cluster: ``--on ray://HOST:PORT`` from anywhere, ``ray://auto`` from one of its machines.

What a lost machine was doing is done by another; that is decided here and not by Ray's own retries, so that a clip
which ends every process that tracks it is told apart from machines that go. Footage and results pass through folders
that both sides see, else in chunks through the cluster's objects.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import math
import queue
import re
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backend.client.batch import node, shipping
from backend.client.batch.executors import Attempt, Ending, Outcome, Running
from backend.errors import ErrorCode, UserError
from protocol.fields import to_plain
from protocol.messages import Problem

ANSWER_SECONDS = 60.0  # for a machine of the cluster to load FlowFace on a cold disk, or to hand over a chunk
CALL_OFF_SECONDS = 5.0
COUNT_SECONDS = 5.0  # between counts of what the cluster has
SENT_AT_ONCE = 4 << 30  # bytes of footage that are in the cluster's memory, or on its disks, at a time
AUTO = "ray://auto"
GONE_ON = "Start it again; the same command goes on where this one stopped."


@dataclass(eq=False)
class _Task:
    """An attempt on its way: ``reference`` is Ray's, ``sent`` the bytes of footage that were sent for it."""

    attempt: Attempt
    order: node.Order
    reference: Any = None
    sent: int = 0

    @property
    def size(self) -> int:
        """Bytes of all that it reads."""
        return sum(mark.size for shipment in self.order.shipments for mark in shipment.files)


class RayCluster(AbstractContextManager["RayCluster", None]):
    """An ``Executor``: each clip is a task of the cluster that takes so many CPUs and GPUs."""

    def __init__(
        self, address: str, cpus: int = 1, gpus: float = 0.0, *, share: bool = True, runner: str = node.RUNNER
    ) -> None:
        """``share`` False sends footage and results even where the machines see the same folders."""
        self._address = address
        self._resources = {"num_cpus": cpus, "num_gpus": gpus}
        self._share = share
        self._runner = runner
        self._ray: Any = None
        self._track: Any = None
        self._board: Any = None
        self._look: Any = None
        self._token: Path | None = None
        self._sends = not share
        self._tasks: dict[Any, _Task] = {}
        self._to_send: deque[_Task] = deque()
        self._outcomes: list[Running | Outcome] = []
        self._counted, self._slots = -math.inf, 0
        self._lost: UserError | None = None

    def __enter__(self) -> RayCluster:
        place = _place(self._address)
        self._ray = ray = _load_ray()
        _connect(ray, self._address, place)
        try:
            self._require_room()
            self._require_flowface()
            self._track = ray.remote(max_retries=0, **self._resources)(node.track_clip)
            board = ray.remote(num_cpus=0, max_restarts=-1)(node.Board)
            self._board = board.remote()
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # a cluster that is gone has called everything off
            for reference in self._tasks:
                self._call(self._ray.cancel, reference)
            if self._tasks:
                self._call(self._ray.wait, [*self._tasks], num_returns=len(self._tasks), timeout=CALL_OFF_SECONDS)
        with contextlib.suppress(Exception):
            self._call(self._ray.shutdown)
        if self._token is not None:
            self._token.unlink(missing_ok=True)

    @property
    def slots(self) -> int:
        """Twice what the cluster can do at once, so that no machine waits for its next clip."""
        now = time.monotonic()
        if now >= self._counted + COUNT_SECONDS:
            there = self._call(self._ray.cluster_resources)
            at_once = there.get("CPU", 0.0) // self._resources["num_cpus"]
            if self._resources["num_gpus"]:
                at_once = min(at_once, there.get("GPU", 0.0) // self._resources["num_gpus"])
            self._counted, self._slots = now, 2 * max(1, int(at_once))
        return self._slots

    def submit(self, attempt: Attempt) -> None:
        """Hand the clip to the cluster, with its footage where machines were found not to see it."""
        try:
            wanted = shipping.shipments(attempt.spec)
        except UserError as error:
            self._end(attempt, Ending.FAILED, Problem(error.code, error.message, error.hint))
            return
        order = node.Order(
            clip=attempt.name,
            spec=to_plain(attempt.spec),
            shipments=wanted,
            results=str(attempt.folder.parent.absolute()),
            token=self._seen_token(attempt.folder.parent) if self._share else "",
            runner=self._runner,
            version=importlib.metadata.version("flowface"),
        )
        task = _Task(attempt, order)
        if self._sends:
            self._to_send.append(task)
            self._send()
        else:
            self._start(task, {})

    def wait(self, seconds: float) -> list[Running | Outcome]:
        """News of all clips; raises UserError where the cluster is gone."""
        if self._tasks and not self._outcomes:
            ready, rest = self._call(self._ray.wait, [*self._tasks], timeout=seconds)
            more = self._call(self._ray.wait, rest, num_returns=len(rest), timeout=0)[0] if rest else []
            for reference in (*ready, *more):
                self._finish(self._tasks.pop(reference))
        elif not self._outcomes:
            time.sleep(seconds)
        self._send()
        news = [*self._looked(), *self._outcomes]
        self._outcomes.clear()
        return news

    def _start(self, task: _Task, sent: Mapping[str, node.Chunks]) -> None:
        task.reference = self._call(self._track.remote, task.order, sent, self._board)
        self._tasks[task.reference] = task

    def _send(self) -> None:
        """Begin the attempts whose footage is sent, as many as there is room for; one always."""
        while self._to_send:
            on_their_way = sum(task.sent for task in self._tasks.values())
            if on_their_way and on_their_way + self._to_send[0].size > SENT_AT_ONCE:
                return
            task = self._to_send.popleft()
            try:
                shipping.require_shippable(task.order.shipments)
                paths = dict.fromkeys(mark.path for shipment in task.order.shipments for mark in shipment.files)
                sent = {path: [self._call(self._ray.put, part) for part in shipping.chunks(path)] for path in paths}
            except UserError as error:
                self._end(task.attempt, Ending.FAILED, Problem(error.code, error.message, error.hint))
                continue
            task.sent = task.size
            self._start(task, sent)

    def _finish(self, task: _Task) -> None:
        """Take what has come of a task: news, or another try with its footage."""
        errors = self._ray.exceptions
        attempt = task.attempt
        try:
            reply: node.Reply = self._call(self._ray.get, task.reference, timeout=ANSWER_SECONDS)
            if reply.unseen:
                self._sends = True
                self._to_send.append(task)
                return
            if reply.problem is None:
                self._take(reply, attempt)
        except (errors.NodeDiedError, errors.ObjectLostError, errors.GetTimeoutError) as error:
            self._end(attempt, Ending.LOST, Problem(ErrorCode.WORKER_DIED, _lost(error)))
        except errors.WorkerCrashedError:
            self._end(attempt, Ending.CRASHED, Problem(ErrorCode.WORKER_DIED, "The process that tracked it has died."))
        except errors.OutOfMemoryError:
            said = "The machine that tracked it ran out of memory."
            self._end(attempt, Ending.CRASHED, Problem(ErrorCode.OUT_OF_MEMORY, said, "Let a clip take more --cpus."))
        except errors.TaskCancelledError:
            self._end(attempt, Ending.FAILED, Problem(ErrorCode.CANCELLED, "Somebody called it off on the cluster."))
        except errors.RayTaskError as error:
            said = "A machine of the cluster could not begin it; FlowFace has to be installed there as it is here."
            self._end(attempt, Ending.FAILED, Problem(ErrorCode.INTERNAL, said), log=str(error))
        else:
            ending = Ending.FAILED if reply.problem else Ending.DONE
            self._outcomes.append(Outcome(attempt.name, ending, reply.problem, reply.where, reply.log, reply.seconds))

    def _take(self, reply: node.Reply, attempt: Attempt) -> None:
        """Have the results in the attempt's folder; raises UserError ``output_unwritable``."""
        try:
            if reply.folder:
                attempt.folder.rmdir()
                (attempt.folder.parent / Path(reply.folder).name).rename(attempt.folder)
                return
            for name, parts in reply.files.items():
                path = attempt.folder.joinpath(*_inside(name))
                path.parent.mkdir(exist_ok=True)
                with path.open("wb") as file:
                    for part in parts:
                        file.write(self._call(self._ray.get, part, timeout=ANSWER_SECONDS))
        except OSError as error:
            sentence = f"{attempt.folder} cannot be written: {error.strerror}."
            raise UserError(
                ErrorCode.OUTPUT_UNWRITABLE, sentence, "Free some space or choose another --out."
            ) from error

    def _end(self, attempt: Attempt, ending: Ending, problem: Problem, log: str = "") -> None:
        self._outcomes.append(Outcome(attempt.name, ending, problem, log=log))

    def _looked(self) -> list[Running]:
        """What the board tells, if it answers by now; without it clips are tracked all the same."""
        if self._look is None:
            self._look = self._call(self._board.look.remote)
        ready, _ = self._call(self._ray.wait, [self._look], timeout=0)
        if not ready:
            return []
        look, self._look = self._look, None
        try:
            told = self._call(self._ray.get, look, timeout=ANSWER_SECONDS)
        except self._ray.exceptions.RayError:
            return []
        running = {task.attempt.name for task in self._tasks.values()}
        return [Running(clip, *news) for clip, news in told.items() if clip in running]

    def _seen_token(self, folder: Path) -> str:
        """The name of a file by which a machine knows that it sees this folder."""
        if self._token is None:
            token = f"seen-{secrets.token_hex(16)}"
            self._token = folder / token
            self._token.write_text(token, "utf-8")
        return self._token.name

    def _require_room(self) -> None:
        """Raise UserError (``no_cluster``) where there are machines and none has what a clip takes."""
        cpus, gpus = self._resources["num_cpus"], self._resources["num_gpus"]
        machines = [one.get("Resources", {}) for one in self._ray.nodes() if one.get("Alive")]
        if any(one.get("CPU", 0) for one in machines) and not any(
            one.get("CPU", 0) >= cpus and one.get("GPU", 0) >= min(gpus, 1.0) for one in machines
        ):
            what = f"{cpus} CPU{'s' * (cpus != 1)}" + (f" and {gpus:g} GPU" if gpus else "")
            sentence = f"No machine of the cluster at {self._address} has the {what} that a clip is to take."
            raise UserError(ErrorCode.NO_CLUSTER, sentence, "Lower --cpus or --gpus.")

    def _require_flowface(self) -> None:
        """Raise UserError (``other_version``) where a machine of the cluster cannot load this FlowFace."""
        ray, own = self._ray, importlib.metadata.version("flowface")
        try:
            found = ray.get(ray.remote(max_retries=3, num_cpus=0)(node.hello).remote(), timeout=ANSWER_SECONDS)
        except ray.exceptions.GetTimeoutError as error:
            sentence = f"The cluster at {self._address} has begun nothing in {ANSWER_SECONDS:.0f} s."
            raise UserError(ErrorCode.NO_CLUSTER, sentence, "Look at it with “ray status”.") from error
        except ray.exceptions.RayError as error:
            found = "none"
            logging.getLogger(__name__).debug("FlowFace cannot be loaded there", exc_info=error)
        if found != own:
            sentence = f"The cluster at {self._address} has FlowFace {found}, and this machine {own}."
            raise UserError(ErrorCode.OTHER_VERSION, sentence, "Install the same version on every machine of it.")

    def _call(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """What Ray answers. Raises UserError (``cluster_gone``) where it has lost the cluster, or waits for it forever.

        In a thread, as Ray's client may wait so where a cluster's head has died, and Ctrl-C must be heard meanwhile.
        """
        if self._lost:
            raise self._lost
        answer: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

        def call() -> None:
            try:
                answer.put((function(*values, **named), None))
            except Exception as error:
                answer.put((None, error))

        threading.Thread(target=call, daemon=True).start()
        try:
            value, error = answer.get(timeout=2 * ANSWER_SECONDS)
        except queue.Empty:
            error = TimeoutError("it does not answer.")
        if isinstance(error, (ConnectionError, TimeoutError, self._ray.exceptions.RaySystemError)) and not isinstance(
            error, self._ray.exceptions.GetTimeoutError
        ):
            self._lost = self._gone(error)
            raise self._lost from error
        if error is not None:
            raise error
        return value

    def _gone(self, error: Exception) -> UserError:
        sentence = f"The cluster at {self._address} is gone: {_first_line(error)}"
        return UserError(ErrorCode.CLUSTER_GONE, sentence, GONE_ON)


def _load_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        sentence = f"A batch on a Ray cluster needs the package “{error.name}”, which is not installed here."
        hint = 'Install FlowFace with its extra “ray”: pip install "flowface[ray]".'
        raise UserError(ErrorCode.NO_RAY, sentence, hint) from error
    return ray


def _place(address: str) -> tuple[str, int] | None:
    """Host and port of a cluster's client server, None for ``AUTO``; raises UserError (``bad_endpoint``)."""
    match = re.fullmatch(r"ray://(?:\[([^\]]+)\]|([^:/\[\]]+)):(\d{1,5})", address)
    if address != AUTO and not match:
        sentence = f"“{address[:100]}” is not the address of a Ray cluster: expected ray://HOST:PORT or {AUTO}."
        raise UserError(ErrorCode.BAD_ENDPOINT, sentence, "The port is that of Ray's client server, mostly 10001.")
    return (match[1] or match[2], int(match[3])) if match else None


def _connect(ray: Any, address: str, place: tuple[str, int] | None) -> None:
    """Join the cluster at an address; raises UserError: ``no_cluster``, ``no_ray``."""
    no_cluster = f"No Ray cluster answers at {address}"
    hint = "Start one with “ray start --head --ray-client-server-port 10001”, or see “ray status”."
    if place and not _listens(*place):
        raise UserError(ErrorCode.NO_CLUSTER, f"{no_cluster}.", hint)
    try:
        ray.init(
            address="auto" if address == AUTO else address,
            logging_level=logging.ERROR,
            **({"log_to_driver": False} if address == AUTO else {}),
        )
    except ImportError as error:
        sentence = f"Ray's client needs the package “{error.name}”, which is not installed here."
        raise UserError(ErrorCode.NO_RAY, sentence, "Install FlowFace with its extra “ray”.") from error
    except Exception as error:  # Ray has no one class for a cluster that is absent, of another version, or deaf
        raise UserError(ErrorCode.NO_CLUSTER, f"{no_cluster}: {_first_line(error)}", hint) from error


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5.0):
            return True
    except (OSError, OverflowError):
        return False


def _inside(name: str) -> tuple[str, ...]:
    """The parts of a relative path; raises UserError (``output_unwritable``) for one that leads out of its folder."""
    parts = PurePosixPath(name).parts
    if not parts or any(part in ("..", "/") or "\\" in part or ":" in part for part in parts):
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"The cluster sent a file called “{name[:60]}”.")
    return parts


def _lost(error: Exception) -> str:
    return f"The machine that tracked it is gone ({type(error).__name__})."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
