"""The files that a job reads, told apart by a mark, and brought in chunks to a machine that does not see them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from backend.errors import ErrorCode, UserError
from backend.footage import images_of
from backend.footage.sequences import LIST_SUFFIX, find_images, is_pattern
from backend.pipeline.open_views import images_named_apart
from backend.pipeline.take_files import files_of_take, track_file
from backend.reading import open_named
from backend.track.io import load_track, save_track
from protocol.job import TrackJob

HEAD_BYTES = 64 << 10  # of a file, whose hash tells it from another of its size
CHUNK_BYTES = 8 << 20  # what one message of a cluster holds


@dataclass(frozen=True)
class FileMark:
    """A file as this machine sees it: ``digest`` is the SHA-256 of its first ``HEAD_BYTES``, in hexadecimal digits."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Shipment:
    """Files that lie in one folder there: a view's footage, or what else a job reads. ``asked`` is what names them.

    ``whole`` says that the folder itself is named, as of a sequence.
    """

    asked: str
    files: tuple[FileMark, ...]
    whole: bool = False


def shipments(spec: TrackJob) -> tuple[Shipment, ...]:
    """What a job reads besides its head, in the order of its views; raises UserError where that cannot be read."""
    found: dict[str, Shipment] = {}
    for view, alone in zip(spec.views, images_named_apart(spec.views), strict=True):
        path = Path(view.footage)
        files = (path,) if alone else _files(path)
        found[view.footage] = Shipment(view.footage, tuple(map(_mark, files)), whole=path.is_dir())
    for other in filter(None, (spec.neutral_file, spec.options.weights)):
        found.setdefault(other, Shipment(other, (_mark(Path(other)),)))
    return tuple(found.values())


def _files(path: Path) -> Iterable[Path]:
    if path.is_dir() or (not path.exists() and is_pattern(path)):
        return find_images(path).files
    found = images_of(path)
    return found.files if found else (path,)


def _mark(path: Path) -> FileMark:
    with open_named(path, "footage") as file:
        try:
            head = file.read(HEAD_BYTES)
        except OSError as error:
            raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{path} cannot be read: {error.strerror}.") from error
        return FileMark(str(path), os.fstat(file.fileno()).st_size, hashlib.sha256(head).hexdigest())


def seen_here(wanted: Iterable[Shipment]) -> bool:
    """Whether this machine sees all the files under their paths, as the machine that marked them did."""
    try:
        return all(_mark(Path(mark.path)) == mark for shipment in wanted for mark in shipment.files)
    except UserError:
        return False


def require_shippable(wanted: Iterable[Shipment]) -> None:
    """Raise UserError (``footage_unreadable``) for what cannot be brought to another machine: lists of images."""
    for shipment in wanted:
        if Path(shipment.asked).suffix.lower() == LIST_SUFFIX:
            raise UserError(
                ErrorCode.FOOTAGE_UNREADABLE,
                f"The cluster does not see {shipment.asked}, and a list of images cannot be sent there.",
                "Share the folder with them, or put the images into one folder of their own.",
            )


def chunks(path: str) -> Iterator[bytes]:
    """A file's content in parts of at most ``CHUNK_BYTES``; raises UserError where it cannot be read."""
    with open_named(Path(path), "footage") as file:
        try:
            while part := file.read(CHUNK_BYTES):
                yield part
        except OSError as error:
            raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{path} cannot be read: {error.strerror}.") from error


def places(wanted: Iterable[Shipment], root: Path) -> dict[str, str]:
    """The folder here, made below ``root``, for each shipment by what names it there."""
    found: dict[str, str] = {}
    for number, shipment in enumerate(wanted, start=1):
        here = root / f"{number:03d}"
        here.mkdir()
        found[shipment.asked] = str(here)
    return found


def originals(wanted: Iterable[Shipment], folders: Mapping[str, str]) -> dict[str, str]:
    """The folders there by those here, which ``places`` gave."""
    return {
        folders[shipment.asked]: shipment.asked if shipment.whole else str(PurePath(shipment.asked).parent)
        for shipment in wanted
    }


def at_its_places(spec: TrackJob, wanted: Iterable[Shipment], folders: Mapping[str, str]) -> TrackJob:
    """The job with the paths of its files as they are here; ``folders`` is what ``places`` gave."""
    moved = {
        shipment.asked: folders[shipment.asked]
        if shipment.whole
        else str(Path(folders[shipment.asked], PurePath(shipment.asked).name))
        for shipment in wanted
    }
    weights = spec.options.weights
    return replace(
        spec,
        views=tuple(replace(view, footage=moved[view.footage]) for view in spec.views),
        neutral_from=moved.get(spec.neutral_file, spec.neutral_from),
        options=replace(spec.options, weights=weights and moved[weights]),
    )


def as_there(folder: Path, names: Mapping[str, str]) -> None:
    """Have results name their footage as it is called there: ``names`` are those that
    ``originals`` gave."""
    for path in files_of_take(folder):
        if path.name.startswith(Path(track_file(1)).stem) and path.suffix == ".npz":
            track = load_track(path)
            cameras = tuple(replace(camera, footage=restored(camera.footage, names)) for camera in track.cameras)
            save_track(replace(track, cameras=cameras), path)
    report = folder / "report.json"
    if report.is_file():
        quoted = {json.dumps(here)[1:-1]: json.dumps(there)[1:-1] for here, there in names.items()}
        report.write_text(restored(report.read_text("utf-8"), quoted), "utf-8")


def restored(text: str, names: Mapping[str, str]) -> str:
    """A text with every folder here called as it is there."""
    for here, there in names.items():
        text = text.replace(here, there)
    return text
