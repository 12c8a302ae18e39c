"""The part of ``flowface live`` that looks at pictures: its choices, its session, and its run in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ErrorCode, UserError

if TYPE_CHECKING:
    from backend.live.session import FaceSession
    from backend.live.terminal import Row

TRACK = "track.npz"


@dataclass(frozen=True)
class PictureChoice:
    """What ``flowface live`` was asked for: a ``video`` to play, else the camera called ``camera`` ("": the first one).

    ``driver`` is the file of a person's learnt driver. ``out`` is the folder of what is recorded; None: Blender's
    recordings lie in the user's videos.
    """

    video: Path | None = None
    camera: str = ""
    loop: bool = False
    head: str = "open"
    identity: Path | None = None
    driver: Path | None = None
    calibration_seconds: float = 3.0
    seconds: float | None = None
    out: Path | None = None


def recordings_folder() -> Path:
    """Where recordings lie when nobody says where."""
    from platformdirs import user_videos_path

    return user_videos_path() / "FlowFace"


def make_session(choice: PictureChoice) -> FaceSession:
    """The session that was asked for, its source open.

    Raises:
        UserError: the camera is missing or cannot be opened, the video cannot be read.
    """
    from backend.live.session import FaceSession, SessionOptions
    from backend.live.sources import cameras_here, find_camera, open_camera, play_video

    options = SessionOptions(
        head=choice.head,
        identity=choice.identity,
        learnt=choice.driver,
        calibration_seconds=choice.calibration_seconds,
        recordings=choice.out or recordings_folder(),
        seconds=choice.seconds,
    )
    if choice.video is not None:
        return FaceSession(play_video(choice.video, loop=choice.loop), options)
    return FaceSession(open_camera(find_camera(choice.camera, cameras_here())), options)


def serve_pictures(choice: PictureChoice, client_key: str, parent_pid: int | None) -> int:
    """Run a session for the client with this public key (``door.serve``); returns an exit status."""
    from backend.live.door import serve

    return serve(client_key, parent_pid, lambda: make_session(choice))


def list_cameras() -> list[str]:
    """The names of this machine's cameras. Raises UserError ``cameras_unknown``."""
    from backend.live.sources import cameras_here

    return [camera.name for camera in cameras_here()]


def run_in_terminal(choice: PictureChoice) -> None:
    """Run a session until it ends or Ctrl-C; with ``choice.out`` its poses and pictures are recorded and written there.

    What was recorded is written, too, where the session breaks off. An earlier take in that folder makes room.

    Raises:
        UserError: what ``make_session`` and the session raise; ``output_unwritable``, before anything is opened where
            that can be known; ``not_calibrated`` where there is nothing to write.
    """
    from rich.console import Console

    from backend.client.track import output_folder
    from backend.live.run import run_session
    from backend.live.terminal import TerminalOutlet

    console = Console(stderr=True)
    if choice.out is not None:
        with output_folder(choice.out):
            pass
    session = make_session(choice)
    try:
        with TerminalOutlet(console, recording=choice.out is not None) as outlet:
            run_session(session, outlet)
    finally:
        written = _written(session, outlet.recorded, choice.out) if choice.out is not None else None
        if written is not None:
            console.print(f"{len(outlet.recorded)} poses: {written}", markup=False, highlight=False, soft_wrap=True)
    if choice.out is not None and written is None:
        raise UserError(ErrorCode.NOT_CALIBRATED, "No pose was recorded.", "Let the face be seen for longer.")


def _written(session: FaceSession, recorded: list[Row], out: Path) -> Path | None:
    """The track of what was recorded, written in place of an earlier take in ``out``; None where there is no pose."""
    from backend.client.track import forget
    from backend.live.takes import Filmed, stacked, track_of
    from backend.pipeline.take_files import files_of_take
    from backend.track.io import save_track

    person = session.person
    if person is None or not recorded:
        return None
    poses, film, earlier = stacked(recorded), session.recorded, files_of_take(out)
    filmed = None if film is None else Filmed(str(film.path.absolute()), film.frames, film.numbers(poses.times))
    save_track(track_of(person, poses, session.source.name, filmed), out / TRACK, public=True)
    forget(earlier, {TRACK})
    return out / TRACK
