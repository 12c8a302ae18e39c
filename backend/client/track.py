"""Footage to a folder of results through a server: what ``flowface track`` and the demo do."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.client.blender import Blender
from backend.client.connection import Client, OnStatus
from backend.client.request import TrackRequest, job_spec
from backend.client.result_files import PROXIES
from backend.client.scene_writer import require_blender, scene_writer
from backend.detail.io import save_wrinkles
from backend.detail.wire import from_wire
from backend.errors import ErrorCode, UserError
from backend.files import link_or_copy, write_atomic
from backend.overlay.track import write_overlays
from backend.pipeline.take_files import (
    TRACKED,
    alignments_file,
    files_of_take,
    texture_file,
    track_file,
    wrinkles_file,
)
from backend.server.discovery import find_server, private_server
from backend.terminal.ending import ending_interrupts
from backend.track.io import load_track
from backend.track.types import Track
from protocol.messages import RESULT_FILES, ResultReply
from protocol.packed_folder import is_plain
from protocol.take import TakeResult

OnStage = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TrackOutput:
    """A finished take: ``files`` maps "track", "alignments", "report", "overlay" and "scene" to what was written.

    With several views there is one overlay for each, "overlay <view>". Of a view that Blender cannot play, its proxy
    is there, too, "proxy <view>". ``others`` are the further heads where several faces were tracked: "track_2", ….
    """

    track: Track
    report: Mapping[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)
    others: tuple[Track, ...] = ()


def track_to_folder(
    request: TrackRequest, on_status: OnStatus | None = None, on_stage: OnStage | None = None
) -> TrackOutput:
    """Track footage and write the results.

    ``on_status`` gets the job's progress, ``on_stage`` in words what happens after it. Ctrl-C cancels the job and is
    raised again. Raises UserError for everything that a user can mend: footage, output folder, backend, Blender.
    """
    blender = require_blender(request)
    job = job_spec(request)
    with output_folder(request.out) as out, backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        reply = client.run(job, on_status, RESULT_FILES, all_files=job.several_faces)
        return write_output(reply, out, blender, overlay=request.overlay, on_stage=on_stage)


def write_output(
    reply: ResultReply, out: Path, blender: Blender | None, *, overlay: bool, on_stage: OnStage | None = None
) -> TrackOutput:
    """Write a take's results over an earlier take's, with a scene by ``blender`` and an overlay where they are wanted.

    Raises UserError ``output_unwritable``, and what writing a scene or an overlay raises.
    """
    earlier = files_of_take(out)
    files = write_take(reply, out)
    forget(earlier, {path.name for path in files.values()})
    report = json.loads(reply.files["report.json"].tobytes())
    track = load_track(files["track"])
    further = range(2, 2 + len(reply.take.others if reply.take is not None else ()))
    others = [load_track(out / track_file(number)) for number in further]
    seen = [reply.files[alignments_file(number)].tobytes() for number in (1, *further)]
    extras = " and ".join(words for words, wanted in (("the scene", blender), ("the overlay", overlay)) if wanted)
    if on_stage and extras:
        on_stage(f"writing {extras}")
    with contextlib.ExitStack() as stack:
        scene = out / "scene.blend"
        finish = stack.enter_context(scene_writer(blender, reply, scene)) if blender else None
        if overlay:
            files |= write_overlays([track, *others], track.head_id, seen, out)
        if finish:
            finish()
            files["scene"] = scene
    return TrackOutput(track, report, files, tuple(others))


@contextlib.contextmanager
def backend_endpoint(endpoint: str | None = None) -> Iterator[str]:
    """Address of the backend asked for, else of the one that runs, else of a private one that ends with the block.

    SIGTERM and SIGHUP interrupt the block as Ctrl-C does, which cancels the job that it follows.
    """
    with ending_interrupts():
        running = endpoint or find_server()
        if running:
            yield running
            return
        with private_server() as private:
            yield private


@contextlib.contextmanager
def output_folder(out: Path) -> Iterator[Path]:
    """The folder of results, made where it is missing; raises UserError (``output_unwritable``)."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(
            ErrorCode.OUTPUT_UNWRITABLE,
            f"Results cannot be written to {out}: {error.strerror}.",
            "Choose another folder with --out.",
        ) from error
    yield out


def write_take(reply: ResultReply, out: Path) -> dict[str, Path]:
    """Write a take, its further heads, proxies, textures and wrinkles; what was written, by name.

    Raises UserError ``output_unwritable``, ``no_file`` where one of them did not come.
    """
    further = range(2, 2 + len(reply.take.others if reply.take is not None else ()))
    files = {}
    named = (name for number in further for name in (track_file(number), alignments_file(number)))
    unrefined = [TRACKED] if TRACKED in reply.files else []
    for name in (*RESULT_FILES, *named, *unrefined):
        if name not in reply.files:  # somebody deleted it
            sentence = f"The result of “{reply.job.name}” has no file “{name}” any more."
            raise UserError(ErrorCode.NO_FILE, sentence, "Track the footage again.")
        files[Path(name).stem] = out / name
        write_result(out / name, reply.files[name].tobytes())
    return files | keep_proxies(reply, out) | keep_skin(reply.take, out)


def keep_proxies(reply: ResultReply, out: Path) -> dict[str, Path]:
    """Put a take's proxies beside the results, where its track looks for them; what was put there, by name.

    They are the same files on disk as the backend's where that is possible, else what came with the reply. Raises
    UserError ``output_unwritable``.
    """
    kept: dict[str, Path] = {}
    for camera in reply.take.cameras if reply.take is not None else ():
        proxy = Path(camera.proxy)
        if not is_plain(proxy.name) or not is_plain(proxy.parent.name or PROXIES):
            continue
        if camera.proxy in reply.files:
            kept[f"proxy {camera.name}"] = out / camera.proxy
            (out / camera.proxy).parent.mkdir(exist_ok=True)
            write_result(out / camera.proxy, reply.files[camera.proxy].tobytes())
            continue
        if not camera.proxy or not proxy.is_file():
            continue
        path = kept[f"proxy {camera.name}"] = out / proxy.parent.name / proxy.name
        try:
            path.parent.mkdir(exist_ok=True)
            link_or_copy(proxy, path)
        except OSError as error:
            raise _unwritable(path, error) from error
    return kept


def keep_skin(take: TakeResult | None, out: Path) -> dict[str, Path]:
    """Write textures and wrinkles of a take's heads; what was written, by name.

    Raises UserError ``output_unwritable``.
    """
    kept: dict[str, Path] = {}
    for number, head in enumerate((take, *take.others) if take is not None else (), start=1):
        if head.texture.size:
            path = out / texture_file(number)
            write_result(path, head.texture.tobytes())
            kept[path.stem] = path
        if head.wrinkles.size:
            path = out / wrinkles_file(number)
            try:
                save_wrinkles(from_wire(head.wrinkles), path, public=True)
            except OSError as error:
                raise _unwritable(path, error) from error
            kept[path.stem] = path
    return kept


def forget(earlier: Iterable[Path], written: Collection[str]) -> None:
    """Remove the files of an earlier take in a folder but those that were ``written`` anew.

    Heads, skin and the unrefined track of another take would count as this one's. Raises UserError
    ``output_unwritable``.
    """
    for path in earlier:
        if path.name not in written:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(path, error) from error


def write_result(path: Path, data: bytes) -> None:
    """Write a result whole or not at all; raises UserError (``output_unwritable``) where that is not possible."""
    try:
        if not path.name:  # "" and "/", beside which there can be no unfinished file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        write_atomic(path, data, public=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    sentence = f"{path} cannot be written: {error.strerror}."
    return UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another --out.")
