"""A live session over pictures: calibrate, then a pose for each picture; recordings meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import Cancelled, UserError
from backend.head_model.model import HeadModel
from backend.live.calibration import SECONDS, Calibration
from backend.live.driver import FaceDriver, Posed
from backend.live.earlier import read_earlier
from backend.live.follow import FaceFollower
from backend.live.meter import Meter
from backend.live.person import Person
from backend.live.recorder import Recorder, Written, unused_name
from backend.live.types import LivePicture, Outlet, PictureSource
from backend.observations import Alignment
from backend.track.types import Track
from protocol.live import LiveCommand, LivePhase, LivePose, LiveRecording, LiveState, LiveTake, LiveVerb

if TYPE_CHECKING:
    from backend.live.learnt import LearntFace

Look = Callable[[Outlet, LivePicture], None]
"""What is done with each picture."""
PATIENCE = 0.1
"""Seconds to wait for a picture before looking for commands again."""
SILENT = 2.0
"""Seconds without a picture after which the session says that it waits."""
SAY_EVERY = 0.5
"""Seconds between two states that tell how fast it goes."""
COLLECTING = 0.5
"""Of a calibration's fraction: the rest is its solve."""
NOTHING_TO_CALIBRATE = "A learnt driver knows the person already: there is nothing to calibrate."


@dataclass(frozen=True)
class SessionOptions:
    """``identity`` is an earlier take of the person, which makes calibrating needless; ``learnt`` the file of their
    driver (``backend.appearance``), which looks at the pictures instead of landmarks and solve, and whose head it is;
    ``recordings`` the folder for footage; ``seconds`` after which the session ends, None for never, counted from its
    first pose."""

    head: str = "open"
    identity: Path | None = None
    learnt: Path | None = None
    calibration_seconds: float = SECONDS
    recordings: Path | None = None
    seconds: float | None = None
    filtered: bool = True


@dataclass
class _Recording:
    recorder: Recorder | None
    began: float
    last: float
    poses: int = 0


@dataclass
class FaceSession:
    """Implements ``Session`` for a camera or a video that plays.

    Which head: ``options.head``, or a learnt driver's, in the pictures' own camera. All is done in the thread that runs
    it, but for the source's pictures and the recording's encoder. A video begins anew once the face is calibrated: it
    goes on meanwhile, as a camera does, and a short one is over by then.
    """

    source: PictureSource
    options: SessionOptions = field(default_factory=SessionOptions)
    meter: Meter = field(default_factory=Meter)
    on_pose: Callable[[LivePose, Posed | None], None] | None = None
    recorded: Written | None = None
    """The last recording."""

    _phase: LivePhase = LivePhase.OPENING
    _sentence: str = ""
    _fraction: float = 0.0
    _said: float = 0.0
    _number: int = 0
    _driver: FaceDriver | None = None
    _learnt: LearntFace | None = None
    _person: Person | None = None
    _calibration: Calibration | None = None
    _recording: _Recording | None = None
    _posed: Posed | None = None
    _first_pose: float | None = None
    _ending: bool = False
    _silent_since: float = field(default_factory=time.perf_counter)
    _later: list[LiveCommand] = field(default_factory=list)

    @property
    def person(self) -> Person | None:
        """Whom it drives, once that is known."""
        return self._person

    def run(self, outlet: Outlet) -> None:
        """See ``Session``."""
        self._say(outlet, LivePhase.OPENING, "Opening the camera and the networks.")
        try:
            look = self._by_landmarks(outlet) if self.options.learnt is None else self._by_learnt(self.options.learnt)
            self._silent_since = time.perf_counter()
            while not self._ending:
                self._obey(outlet)
                picture = None if self._ending else self._next(outlet)
                if picture is not None:
                    look(outlet, picture)
            self._stop_recording(outlet)
            self._say(outlet, LivePhase.ENDED, f"{self.source.name} has ended.")
        except UserError as error:
            self._failed(outlet, error)
            raise
        finally:
            self.source.close()
            if self._learnt is not None:
                self._learnt.close()
            if self._recording is not None:  # Ctrl-C once more: what was recorded is whole all the same
                self._stop_recording(outlet)

    def _by_landmarks(self, outlet: Outlet) -> Look:
        """Landmarks and solve, of the person of an earlier take, or of whom is calibrated first."""
        from backend.alignment.finder import face_finder
        from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
        from backend.head_model.library import load_head

        head = load_head(self.options.head)
        follower = FaceFollower(find_aligner(DEFAULT_ALIGNER, head), face_finder())
        known = [] if self.options.identity is None else [read_earlier(self.options.identity)]
        if not known:
            self._calibrate(outlet)

        def look(outlet: Outlet, picture: LivePicture) -> None:
            if known:
                earlier = known.pop()
                person = Person.of_track(head, earlier.track, _size(picture))
                self._drive(outlet, person, earlier.track, earlier.seen)
                self.meter.missed(1)  # by now there is a newer one
                return
            with self.meter.stage("landmarks"):
                seen = follower.look(picture.picture)
            if self._calibration is not None:
                self._calibration.add(seen, picture.number, picture.time)
                self._calibrated(outlet, head, picture)
            elif self._driver is not None:
                with self.meter.stage("solve"):
                    posed = None if seen is None else self._driver.solve(seen, picture.time)
                self._send(outlet, picture, posed)

        return look

    def _by_learnt(self, path: Path) -> Look:
        """One look of the person's own driver; from the first face on, whose head is told of then."""
        from backend.live.learnt import LearntFace

        face = self._learnt = LearntFace.load(path, filtered=self.options.filtered)

        def look(outlet: Outlet, picture: LivePicture) -> None:
            with self.meter.stage("driver"):
                posed = face.look(picture)
            if self._person is None and posed is None:
                self._say_at_times(outlet, f"No face is seen; the driver is of “{face.name}”.")
            elif self._person is None and posed is not None:
                person = face.person(_size(picture))
                self._tell_take(outlet, person, face.take(person, posed, self.source.name))
                self.meter.missed(1)
            else:
                self._send(outlet, picture, posed)

        return look

    def _next(self, outlet: Outlet) -> LivePicture | None:
        """The next picture; None where there is none yet, and where the session ends."""
        picture = self.source.latest(self._number, PATIENCE)
        now = time.perf_counter()
        if picture is not None:
            self.meter.missed(picture.number - self._number - 1)
            self._number = picture.number
            if self._phase is LivePhase.WAITING:
                self._say(outlet, self._running())
            self._silent_since = now
            return picture
        if self.source.ended:
            self._ending = not self._calibrates_short()
        elif now - self._silent_since > SILENT and self._phase is not LivePhase.WAITING:
            self._say(outlet, LivePhase.WAITING, f"No picture comes from {self.source.name}.")
        return None

    def _calibrates_short(self) -> bool:
        """True where a video ended before enough of the face was seen: what was seen is all that there is."""
        short = self._calibration is not None and bool(self._calibration.frames) and not self._calibration.whole
        if self._calibration is not None:
            self._calibration.whole = short
        return short and self._play_again()

    def _play_again(self) -> bool:
        """Have a video begin anew; False of a camera."""
        last = self.source.again()
        self._number = self._number if last is None else last
        return last is not None

    def _running(self) -> LivePhase:
        if self._calibration is not None:
            return LivePhase.CALIBRATING
        return LivePhase.RECORDING if self._recording is not None else LivePhase.RUNNING

    def _obey(self, outlet: Outlet) -> None:
        while (command := self._later.pop(0) if self._later else outlet.command()) is not None:
            if command.verb is LiveVerb.END:
                self._ending = True
            elif command.verb is LiveVerb.CALIBRATE:
                if self._learnt is not None:
                    self._say(outlet, self._running(), NOTHING_TO_CALIBRATE)
                    continue
                self._stop_recording(outlet)
                self._play_again()
                self._calibrate(outlet)
            elif command.verb is LiveVerb.RECORD:
                self._record(outlet)
            elif command.verb is LiveVerb.STOP_RECORDING:
                self._stop_recording(outlet)
                self._say(outlet, self._running())

    def _calibrate(self, outlet: Outlet) -> None:
        self._calibration = Calibration(self.options.calibration_seconds)
        self._fraction = 0.0
        self._say(outlet, LivePhase.CALIBRATING, "Look at the camera for a few seconds; you may move and speak.")

    def _calibrated(self, outlet: Outlet, head: HeadModel, picture: LivePicture) -> None:
        """Go on calibrating; solve once there are pictures enough."""
        calibration = self._calibration
        assert calibration is not None
        self._tell_fraction(outlet, COLLECTING * calibration.fraction)
        if calibration.fraction < 1:
            return
        self._say(outlet, LivePhase.CALIBRATING, "Measuring the face.")

        def cancelled() -> bool:
            command = outlet.command()
            if command is not None:
                self._later.append(command)
            return any(c.verb in (LiveVerb.END, LiveVerb.CALIBRATE) for c in self._later)

        try:
            found = calibration.solve(
                head,
                _size(picture),
                self.source.name,
                on_progress=lambda done: self._tell_fraction(outlet, COLLECTING + (1 - COLLECTING) * done),
                should_cancel=cancelled,
            )
        except Cancelled:
            self._calibration = Calibration(self.options.calibration_seconds)
            return
        self._calibration = None
        self._drive(outlet, found.person, found.track, found.seen)
        self._play_again()  # those who record a video want all of it

    def _tell_fraction(self, outlet: Outlet, fraction: float) -> None:
        self._fraction = fraction
        self._say_at_times(outlet)

    def _drive(self, outlet: Outlet, person: Person, track: Track, seen: Sequence[tuple[Alignment, float]]) -> None:
        """From now on drive a person, of whom ``seen`` tells what they look like; ``track`` is their take."""
        self._driver = FaceDriver(person, filtered=self.options.filtered)
        self._driver.telling.learn(seen)
        self._tell_take(outlet, person, track)

    def _tell_take(self, outlet: Outlet, person: Person, track: Track) -> None:
        """Tell who is driven from now on."""
        from backend.export.blender import take_result

        self._person = person
        head = person.head
        report = {"live": self.source.name, "frames": len(track.times), "head": head.id, "warnings": []}
        outlet.send(LiveTake(take_result(track, head, self.source.name, report)))
        self._fraction = 1.0
        self._say(outlet, self._running())

    def _send(self, outlet: Outlet, picture: LivePicture, posed: Posed | None) -> None:
        """The pose of a picture; without a face the last one known, and none before the first."""
        if self._recording is not None:
            self._add(outlet, picture)
        if posed is not None:
            self._posed = posed
        shown = self._posed
        if shown is not None:
            now = time.perf_counter()
            pose = LivePose(
                number=picture.number,
                time=picture.time,
                age=now - picture.arrived,
                seen=posed is not None,
                expression=shown.expression.astype(np.float32),
                gaze=shown.gaze.astype(np.float32),
                head_rotation=shown.rotation.astype(np.float32),
                head_translation=shown.translation.astype(np.float32),
            )
            outlet.send(pose)
            self.meter.pose(now, pose.age)
            if self._recording is not None:
                self._recording.poses += 1
            if self.on_pose is not None:
                self.on_pose(pose, posed)
            self._first_pose = picture.time if self._first_pose is None else self._first_pose
        if self.options.seconds is not None and self._first_pose is not None:
            self._ending = self._ending or picture.time - self._first_pose >= self.options.seconds
        self._say_at_times(outlet)

    def _record(self, outlet: Outlet) -> None:
        if self._recording is not None:
            return
        if self._person is None:
            until = "calibrated" if self._learnt is None else "seen"
            self._say(outlet, self._phase, f"Recording begins once the face is {until}.")
            return
        recorder = None
        if self.options.recordings is not None:
            rate = self.meter.figures(time.perf_counter())[0] or 30.0
            recorder = Recorder(unused_name(self.options.recordings), rate)
        self._recording = _Recording(recorder, -1.0, -1.0)
        self._say(outlet, LivePhase.RECORDING)

    def _add(self, outlet: Outlet, picture: LivePicture) -> None:
        recording = self._recording
        assert recording is not None
        if recording.began < 0:
            recording.began = picture.time
        recording.last = picture.time
        recorder = recording.recorder
        if recorder is None:
            return
        if not recorder.add(picture) and recorder.lost % 10 == 1:
            lost = f"{recorder.lost} pictures of the recording are lost: disk or encoder cannot follow."
            self._say(outlet, LivePhase.RECORDING, lost)
        if recorder.failed:
            self._stop_recording(outlet)

    def _stop_recording(self, outlet: Outlet) -> None:
        recording, self._recording = self._recording, None
        if recording is None:
            return
        written = None
        if recording.recorder is not None:
            try:
                written = self.recorded = recording.recorder.finish()
            except UserError as error:
                self._say(outlet, self._running(), error.message, error.hint)
        seconds = max(0.0, recording.last - recording.began)
        if written is None:
            outlet.send(LiveRecording(seconds=seconds, poses=recording.poses, first_time=max(0.0, recording.began)))
            return
        outlet.send(
            LiveRecording(
                seconds=seconds,
                poses=recording.poses,
                footage=str(written.path.absolute()),
                frames=written.frames,
                frame_rate=written.frame_rate,
                first_time=written.first_time,
            )
        )

    def _say_at_times(self, outlet: Outlet, sentence: str | None = None) -> None:
        if time.perf_counter() - self._said >= SAY_EVERY:
            self._say(outlet, self._running(), self._sentence if sentence is None else sentence)

    def _say(self, outlet: Outlet, phase: LivePhase, sentence: str = "", hint: str = "") -> None:
        self._said = time.perf_counter()
        self._phase, self._sentence = phase, sentence
        rate, milliseconds = self.meter.figures(self._said)
        outlet.send(
            LiveState(
                phase=phase,
                sentence=sentence,
                hint=hint,
                fraction=self._fraction,
                source=self.source.name,
                frames_per_second=rate,
                milliseconds=milliseconds,
                dropped=self.meter.dropped,
            )
        )

    def _failed(self, outlet: Outlet, error: UserError) -> None:
        try:
            self._stop_recording(outlet)
        finally:
            self._say(outlet, LivePhase.FAILED, error.message, error.hint)


def _size(picture: LivePicture) -> tuple[int, int]:
    """Width and height."""
    return picture.picture.shape[1], picture.picture.shape[0]
