"""A batch from its clips to their results: what is done stays, what is not is tracked, each clip once."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend.client.batch.clips import Clip
from backend.client.batch.executors import Attempt, Ending, Executor, Outcome, Running
from backend.client.batch.ledger import ClipRecord, ClipState, Ledger, fingerprint
from backend.client.batch.results import (
    SCENE,
    export_files_of,
    with_figures,
    write_clip_overlays,
    write_export,
    write_scene,
)
from backend.client.blender import Blender
from backend.client.request import job_spec
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from protocol.job import TrackJob

LOOK_SECONDS = 0.25  # between looks at an executor that has no news
MOST_CRASHES = 3  # of one clip in one run: then it is what ends the process that tracks it
MOST_LOSSES = 10  # of one clip in one run: machines come and go, but not so many in the time of a clip

AND = " | "  # between the problems of a done clip

OnRunning = Callable[[Running], None]
OnRecord = Callable[[ClipRecord], None]


@dataclass(frozen=True)
class Batch:
    """Clips to track into ``out``. ``redo`` tracks those again that are done with other footage or options.

    ``overlay``, ``blender`` (None for no scene) and the clips' exports are what is written besides ``flowface track``'s
    results; scenes and exports also of clips that are done already.
    """

    clips: Sequence[Clip]
    out: Path
    redo: bool = False
    overlay: bool = False
    blender: Blender | None = None


@dataclass
class _Job:
    """A clip that is being tracked, in this run."""

    name: str
    spec: TrackJob
    record: ClipRecord
    exports: tuple[str, ...] = ()
    replacing: bool = False
    folder: Path = Path()
    crashes: int = 0
    losses: int = 0


class BatchRun:
    """One run of a batch in a ledger that belongs to it."""

    def __init__(
        self,
        batch: Batch,
        ledger: Ledger,
        on_running: OnRunning = lambda _: None,
        on_record: OnRecord = lambda _: None,
    ) -> None:
        """Look what is to be done.

        Raises:
            UserError: ``bad_output`` where clips are done with other footage or options, and ``redo`` was not asked
                for, or where a folder holds other things; what ``job_spec`` raises, naming the clip.
        """
        self._batch = batch
        self._ledger = ledger
        self._on_running = on_running
        self._on_record = on_record
        self.records: dict[str, ClipRecord] = {}
        self._waiting: deque[_Job] = deque()
        self._running: dict[str, _Job] = {}
        self._done: list[tuple[Clip, TrackJob]] = []
        self._look()

    @property
    def left(self) -> int:
        """The number of clips that are not done."""
        return len(self._waiting) + len(self._running)

    def track(self, executor: Executor) -> None:
        """Track what is left; ``executor`` is entered, and left at the end or with whatever is raised.

        Raises:
            UserError: nothing more can be tracked or written; what is done stays.
            KeyboardInterrupt: as soon as it comes; what is done stays.
        """
        if self.left:
            with executor:
                try:
                    self._follow(executor)
                except BaseException:
                    with contextlib.suppress(UserError):
                        for job in self._running.values():  # which are called off: the next attempts are others
                            self._ledger.note(job.record)
                    raise
        self._write_what_is_missing()

    def _follow(self, executor: Executor) -> None:
        while self.left:
            while self._waiting and len(self._running) < executor.slots:
                self._begin(executor, self._waiting.popleft())
            for news in executor.wait(LOOK_SECONDS):
                if isinstance(news, Running):
                    self._on_running(news)
                else:
                    self._end(self._running.pop(news.name), news)

    def _look(self) -> None:
        changed = []
        for clip in self._batch.clips:
            try:
                spec = job_spec(clip.request)
            except UserError as error:
                raise UserError(error.code, f"{clip.name}: {error.message}", error.hint) from error
            record, asked = self._ledger.record(clip.name), fingerprint(spec)
            other = record is not None and record.asked != asked
            if record is not None and record.state is ClipState.DONE:
                if not other:
                    self.records[clip.name] = record
                    self._done.append((clip, spec))
                    continue
                changed.append(clip.name)
            attempts = 0 if record is None or other else record.attempts
            pending = ClipRecord(clip.name, ClipState.PENDING, asked, attempts)
            self.records[clip.name] = pending
            job = _Job(clip.name, spec, pending, clip.exports, replacing=clip.name in changed[-1:])
            self._waiting.append(job)
        if changed and not self._batch.redo:
            clips = (
                f"“{changed[0]}” was" if len(changed) == 1 else f"{len(changed)} clips, “{changed[0]}” for one, were"
            )
            raise UserError(
                ErrorCode.BAD_OUTPUT,
                f"{clips} tracked into {self._batch.out} from other footage or with other options.",
                "Choose another --out, or pass --redo to track them again.",
            )

    def _begin(self, executor: Executor, job: _Job) -> None:
        job.record = replace(job.record, attempts=job.record.attempts + 1)
        job.folder = self._ledger.work_folder(job.name)
        self._running[job.name] = job
        executor.submit(Attempt(job.name, job.spec, job.folder, self._ledger.token(job.record)))

    def _end(self, job: _Job, outcome: Outcome) -> None:
        job.record = replace(job.record, seconds=outcome.seconds, where=outcome.where)
        if outcome.ending is Ending.DONE:
            self._keep(job)
            return
        problem = str(UserError(*_told(outcome)))
        job.crashes += outcome.ending is Ending.CRASHED
        job.losses += outcome.ending is Ending.LOST
        again = outcome.ending is not Ending.FAILED and job.crashes < MOST_CRASHES and job.losses < MOST_LOSSES
        if again:
            self._tell(replace(job.record, state=ClipState.PENDING, problem=problem))
            self._waiting.append(job)
            return
        if job.crashes >= MOST_CRASHES:
            problem = f"It ended the process that tracked it {job.crashes} times, at last so: {problem}"
        if outcome.log:
            log = self._ledger.log_file(job.name)
            with contextlib.suppress(OSError):  # of the clip's failure the rest is told
                write_atomic(log, outcome.log.encode(), public=True)
                problem = f"{problem} What Python said is in {log}."
        self._tell(replace(job.record, state=ClipState.FAILED, problem=problem))

    def _keep(self, job: _Job) -> None:
        done = with_figures(replace(job.record, state=ClipState.DONE), job.folder)
        if self._batch.overlay:
            try:
                write_clip_overlays(job.folder, job.spec)
            except UserError as error:
                done = replace(done, problem=f"The overlay could not be written: {error}")
        self._ledger.put_in_place(job.folder, done, replacing=job.replacing)
        self._show(self._completed(done, job.spec, job.exports))

    def _write_what_is_missing(self) -> None:
        """Scenes and exports of clips that were done before, by a run that wrote none or ended before it had."""
        for clip, spec in self._done:
            before = self.records[clip.name]
            done = self._completed(before, spec, clip.exports)
            if done is not before:
                self._show(done)

    def _completed(self, record: ClipRecord, spec: TrackJob, exports: Sequence[str]) -> ClipRecord:
        """The record of a done clip once what is missing of its scene and its exports is written, or is a problem."""
        folder, record_before = self._ledger.folder(record.name), record
        if self._batch.blender is not None and not (folder / SCENE).is_file():
            record = self._with_scene(record, spec)
        for name, number, path in export_files_of(folder, exports):
            if not path.exists():
                record = self._with_export(record, name, number, path)
        if record.problem != record_before.problem:
            self._ledger.amend(record)
        return record

    def _with_scene(self, record: ClipRecord, spec: TrackJob) -> ClipRecord:
        assert self._batch.blender is not None
        self._on_running(Running(record.name, "writing the scene", 1.0, record.where))
        try:
            write_scene(self._batch.blender, self._ledger.folder(record.name), spec, record.name)
        except (UserError, OSError) as error:
            return _with_problem(record, "The scene", str(error))
        return _with_problem(record, "The scene", "")

    def _with_export(self, record: ClipRecord, name: str, number: int, path: Path) -> ClipRecord:
        what = f"The export “{name}”" + (f" of head {number}" if number > 1 else "")
        self._on_running(Running(record.name, f"exporting {name}", 1.0, record.where))
        try:
            write_export(self._ledger.folder(record.name), name, number, path)
        except (UserError, OSError) as error:
            return _with_problem(record, what, str(error))
        return _with_problem(record, what, "")

    def _tell(self, record: ClipRecord) -> None:
        self._ledger.note(record)
        self._show(record)

    def _show(self, record: ClipRecord) -> None:
        self.records[record.name] = record
        self._on_record(record)


def _with_problem(record: ClipRecord, what: str, problem: str) -> ClipRecord:
    """A done clip's record with the ``problem`` of one of its files, "" for none, in place of what there was of it."""
    opening = f"{what} could not be written: "
    others = [text for text in record.problem.split(AND) if text and not text.startswith(opening)]
    return replace(record, problem=AND.join([*others, *([opening + problem] if problem else [])]))


def _told(outcome: Outcome) -> tuple[str, str, str]:
    problem = outcome.problem
    if problem is None:
        return ErrorCode.INTERNAL, "It ended without a word.", ""
    return problem.code, problem.message, problem.hint


def in_order(records: dict[str, ClipRecord], clips: Sequence[Clip]) -> list[ClipRecord]:
    """The records in the order of the clips."""
    return [records[clip.name] for clip in clips if clip.name in records]
