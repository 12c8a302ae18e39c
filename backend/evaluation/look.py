"""The part of an evaluation that looks as an animator does: curves, a second detector, a truth of meaning, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from backend.datasets.splits import Split, split_of_clip, split_of_photo
from backend.evaluation.benchmark import load_ict_head
from backend.evaluation.meaning.character import load_character
from backend.evaluation.meaning.film import LOOKS
from backend.evaluation.meaning.record import NETWORK, filmed, network_record, tracker_record
from backend.evaluation.progress_view import EvaluationView
from backend.evaluation.seen.damping import Damping, damping_on_head, damping_on_people
from backend.evaluation.seen.record import clip_record, photo_record, photos_figures
from backend.evaluation.seen.watch import Watcher
from backend.evaluation.store import Store
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.trackers.types import Tracker
from backend.footage import IMAGE_SUFFIXES
from backend.head_model.library import load_head

Record = dict[str, Any]

_NETWORKS = ("alignment/landmarks/", "evaluation/scores.py", "evaluation/metrics/", "footage/")
_DRAWN = (*_NETWORKS, "evaluation/benchmark/", "evaluation/seen/", "head_model/")
_MEANING = (*_NETWORKS, "evaluation/meaning/", "evaluation/benchmark/paint.py")

PHOTO_SETS = ("london_neutral", "london_smiling")
"""The same people without and with a smile: over photographs, too, something moves."""
CLIP_SUFFIXES = (".mpg", ".mp4", ".mkv")
QUICK = {"clips": 2, "photos": 4, "looks": 2}
SHEETS = "sheets"


@dataclass(frozen=True)
class Looking:
    """What is looked at: the people of ``split`` under ``data``, or the files ``clips`` alone where there are any.

    ``quick`` takes a few. Contact sheets go to ``out``; ``cache`` is the benchmark's, None the system's.
    """

    data: Path
    out: Path
    split: Split = "test"
    clips: tuple[Path, ...] = ()
    quick: bool = False
    cache: Path | None = None

    def videos(self) -> list[Path]:
        """The clips, by name."""
        if self.clips:
            return [clip for clip in self.clips if clip.suffix.lower() not in IMAGE_SUFFIXES]
        files = sorted(p for p in (self.data / "clips").glob("*.*") if p.suffix in CLIP_SUFFIXES)
        chosen = [p for p in files if self._measures(split_of_clip(p))]
        return chosen[: QUICK["clips"]] if self.quick else chosen

    def photos(self) -> list[Path]:
        """The photographs, by name."""
        if self.clips:
            return [clip for clip in self.clips if clip.suffix.lower() in IMAGE_SUFFIXES]
        files = [p for name in PHOTO_SETS for p in sorted((self.data / "photos" / name).glob("*.jpg"))]
        chosen = [p for p in files if self._measures(split_of_photo(p))]
        return chosen[:: max(1, len(chosen) // QUICK["photos"])] if self.quick else chosen

    def _measures(self, split: Split) -> bool:
        return (split == "test") == (self.split == "test")

    @property
    def ict(self) -> Path:
        return self.data / "ict" / "ict_facekit.npz"

    @property
    def character(self) -> Path | None:
        """The folder of the facecap character, which is a test: looked at with test people only."""
        folder = self.data / "characters" / "facecap"
        wanted = self.split == "test" and not self.clips
        return folder if wanted and (folder / "facecap.glb").is_file() and self.ict.is_file() else None


def look(looking: Looking, store: Store, trackers: Sequence[Tracker], view: EvaluationView) -> dict[str, list[Record]]:
    """Records of ``clips``, ``photographs`` (one for each tracker), ``meaning`` and the detector's ``damping``.

    Trackers that are not ours have no head to look at, and are left out. Raises UserError as reading footage,
    aligning and drawing do.
    """
    ours = [tracker for tracker in trackers if isinstance(tracker, FlowFace) and not tracker.even_sigma]
    videos, photos = looking.videos(), looking.photos()
    if not ours or not (videos or photos or looking.character):
        return {}
    keep = partial(_kept, store, view)
    found: dict[str, list[Record]] = {
        "clips": keep("looked at", list(_clips(looking, ours, videos, view))),
        "photographs": [],
        "meaning": keep("meaning", list(_meaning(looking, ours, view))) if looking.character else [],
        "damping": keep("damping", list(_damping(looking, ours, view))) if looking.ict.is_file() else [],
    }
    shots = keep("photographs looked at", [_photo(tracker, path) for path in photos for tracker in ours])
    for tracker in ours if photos else ():
        mine = [record for record in shots if record["tracker"] == tracker.name]
        found["photographs"].append({"tracker": tracker.name, **photos_figures(mine)})
    return found


Task = tuple[tuple[str, ...], tuple[str, ...], Callable[[], Record]]
"""A record's key, the parts of the backend that it depends on, and how it is made."""


def _kept(store: Store, view: EvaluationView, kind: str, tasks: Sequence[Task]) -> list[Record]:
    records = []
    for number, (key, parts, make) in enumerate(tasks):
        view.on_part(kind, number, len(tasks))
        view.on_stage(f"{key[-1]}: {kind}, {key[1]}")
        records.append(store.get(key, make, parts))
    view.on_part(kind, len(tasks), len(tasks))
    return records


def _clips(looking: Looking, ours: Sequence[FlowFace], videos: Sequence[Path], view: EvaluationView) -> Iterator[Task]:
    for clip in videos:
        for tracker in ours:
            sheet = looking.out / SHEETS / f"{clip.stem}_{tracker.name}.png"
            make = partial(clip_record, tracker, clip, sheet, view.on_frame)
            yield ("look", tracker.name, str(clip.resolve())), tracker.made_by, make


def _photo(tracker: FlowFace, path: Path) -> Task:
    return ("look", tracker.name, str(path.resolve())), tracker.made_by, partial(photo_record, tracker, path)


def _meaning(looking: Looking, ours: Sequence[FlowFace], view: EvaluationView) -> Iterator[Task]:
    folder = looking.character
    if folder is None:
        return
    character = load_character(folder)
    looks = LOOKS[: QUICK["looks"]] if looking.quick else LOOKS
    for taken in looks:
        view.on_stage(f"filming the character: {taken.name}")
        clip = filmed(character, taken, looking.ict, looking.cache, view.on_frame)
        for tracker in ours:
            sheet = looking.out / SHEETS / f"facecap_{taken.name}_{tracker.name}.png"
            yield (
                ("meaning", tracker.name, taken.name),
                tracker.made_by,
                partial(tracker_record, tracker, character, clip, sheet),
            )
        yield ("meaning", NETWORK, taken.name), _MEANING, partial(network_record, character, clip)


def _damping(looking: Looking, ours: Sequence[FlowFace], view: EvaluationView) -> Iterator[Task]:
    def people() -> Record:
        return _damping_record("people", damping_on_people(load_ict_head(looking.ict), Watcher(), _alone(view)))

    def head(name: str) -> Record:
        return _damping_record(name, damping_on_head(load_head(name), Watcher(), _alone(view)))

    yield ("damping", "second detector", "people"), _DRAWN, people
    for name in dict.fromkeys(tracker.head_name for tracker in ours):
        yield ("damping", "second detector", name), _DRAWN, partial(head, name)


def _damping_record(of: str, damping: Damping) -> Record:
    return {"of": of, "slope": damping.slope, "correlation": damping.correlation}


def _alone(view: EvaluationView) -> Callable[[int], None]:
    return lambda done: view.on_frame(done, done)
