"""A session's outlet in a terminal: one line that tells how it goes, and the poses of a recording."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import TextColumn

from backend.terminal.progress_bar import progress_bar
from protocol.live import LiveCommand, LivePhase, LivePose, LiveRecording, LiveState, LiveTake, LiveVerb
from protocol.message import Message

F64 = NDArray[np.float64]
Row = tuple[float, bool, F64, F64, F64, F64]
"""Time, whether the face was seen, expression, rotation, translation and gaze of one pose."""


class TerminalOutlet:
    """Implements ``Outlet``. With ``recording`` it has all recorded from the first pose on, and keeps the poses."""

    def __init__(self, console: Console, *, recording: bool = False) -> None:
        self._console = console
        self._wants = recording
        self._commands: deque[LiveCommand] = deque()
        self._recording = False
        self._said = ""
        self._progress = progress_bar(console, TextColumn("{task.fields[figures]}", markup=False))
        self._task = self._progress.add_task("", total=1.0, figures="")
        self.recorded: list[Row] = []

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def command(self) -> LiveCommand | None:
        """See ``Outlet``."""
        return self._commands.popleft() if self._commands else None

    def send(self, message: Message) -> None:
        """See ``Outlet``."""
        if isinstance(message, LiveState):
            self._show(message)
        elif isinstance(message, LiveTake) and self._wants:
            self._commands.append(LiveCommand(LiveVerb.RECORD))
        elif isinstance(message, LivePose) and self._recording:
            self.recorded.append(
                (
                    message.time,
                    message.seen,
                    message.expression.astype(np.float64),
                    message.head_rotation.astype(np.float64),
                    message.head_translation.astype(np.float64),
                    message.gaze.astype(np.float64),
                )
            )
        elif isinstance(message, LiveRecording) and message.footage:
            rate = f"{message.frames} pictures, {message.frame_rate:.1f} a second"
            self._say(f"recorded {message.seconds:.1f} s, {rate}: {message.footage}")

    def _show(self, state: LiveState) -> None:
        self._recording = state.phase is LivePhase.RECORDING
        figures = ""
        if state.phase in (LivePhase.RUNNING, LivePhase.RECORDING):
            figures = f"{state.frames_per_second:.0f} a second, {state.milliseconds:.0f} ms, {state.dropped} dropped"
        self._progress.update(
            self._task, description=f"{state.source}: {state.phase}", completed=state.fraction, figures=figures
        )
        if state.sentence and state.sentence != self._said and state.phase is not LivePhase.FAILED:
            self._say(" ".join(part for part in (state.sentence, state.hint) if part))
        self._said = state.sentence or self._said

    def _say(self, words: str) -> None:
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)
