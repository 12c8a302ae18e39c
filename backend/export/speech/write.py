"""Tracked takes as training data of speech-driven animation, laid out as VOCASET is for FaceFormer and CodeTalker.

The folder holds, for speakers S and sentences N (``plan.sentence_numbers``):

- ``templates.pkl``: speaker → neutral head (V,3), metres, head space (+x the subject's left, +y up, +z out of the face,
  as FLAME's). Of a speaker with several takes, the mean of their neutrals, weighted by tracked frames.
- ``vertices_npy/S_sentenceN.npy`` (T, V·3) float32, metres, 60 frames a second, which those loaders halve;
  ``30fps/vertices_npy/`` the same halved, for what takes every frame. The head does not move: they are the speaker's
  neutral and what the take's expressions and gaze add to the take's own.
- ``wav/S_sentenceN.wav``: 16 kHz, one channel, 16 bits; it begins with the first frame and is as long as the frames.
- ``regions/lve.txt`` and ``fdd.txt``: vertices of the lips and of the upper face, for the two metrics.
- ``args.txt``: FaceFormer's command line; ``codetalker.yaml``: CodeTalker's settings; ``splits.json``: splits,
  sentences and where they are in their takes; ``templates/template.ply``: a head with triangles.

Frames lie on the track's own times, between which expressions and gaze are interpolated (``plan.interpolated``) and
kept within the head's bounds. Expressions move the head linearly and eyes turn, so this is what interpolating vertices
would give, and better for the eyes. Nothing is extrapolated: a sentence begins and ends on tracked frames with sound.
Up to 0.13 s between tracked frames are bridged, where more are missing a new sentence begins; those below a second are
left out, those above 20 s divided, as those models take no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.pictures import READ_AGAIN
from backend.export.speech import files
from backend.export.speech.plan import (
    RATE,
    SAMPLE_RATE,
    SPLITS,
    Stretch,
    interpolated,
    sentence_numbers,
    speakers_of,
    split_of,
    stretches,
)
from backend.export.takes import ExportTake
from backend.footage import probe
from backend.footage.sound import CONTEXT, Sound, has_sound, read_sound
from backend.head_model.model import HeadModel, posed_vertices
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.geometry import neutral_of, person_of

F32 = NDArray[np.float32]

AT_ONCE = 120
"""Frames that are posed between two looks at whether the work was called off; even, as half of them are."""
SILENT_END = 0.05
"""Seconds that a take may be longer than its sound: codecs come in packets of up to that, cameras stop one first."""
OTHER_RATE = 1e-5
"""Share by which a take's frame rate may differ from its footage's: six milliseconds in ten minutes."""


@dataclass(eq=False)
class _Export:
    """What is known while the sentences are written, one after the other."""

    folder: Path
    on_progress: OnProgress
    should_cancel: ShouldCancel
    templates: dict[str, F32]
    numbers: dict[str, Iterator[int]]
    frames_total: int
    frames_done: int = 0
    sentences: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, stage: str) -> None:
        if self.should_cancel():
            raise Cancelled
        share = min(self.frames_done / max(self.frames_total, 1), 1.0)
        self.on_progress(JobProgress(stage, share, self.frames_done, self.frames_total))


def write_speech_data(
    takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
) -> None:
    """Write takes into ``folder``, which is there and empty; the speaker is told by a take's name (``speaker_of``).

    Raises:
        UserError: ``bad_export`` naming the take without sound, without a second of tracked speech, retimed, or of
            another head than the first; for speakers that cannot be told apart; what reading the footage raises.
        Cancelled: ``should_cancel`` said so.
    """
    speakers = speakers_of([take.name for take in takes])
    splits = split_of(speakers)
    _require_one_head(takes)
    for number, take in enumerate(takes):
        if should_cancel():
            raise Cancelled
        on_progress(JobProgress("looking for sound", 0.0, number, len(takes)))
        _require_sound(take)
    for name in ("wav", "vertices_npy", "30fps/vertices_npy", "regions", "templates"):
        (folder / name).mkdir(parents=True)
    total = sum(_frames_of(take) for take in takes)
    numbers = {speaker: sentence_numbers(split) for speaker, split in splits.items()}
    export = _Export(folder, on_progress, should_cancel, templates_of(takes, speakers), numbers, total)
    for take, speaker in zip(takes, speakers, strict=True):
        _write_take(export, take, speaker)
    _write_lists(export, takes, speakers, splits)


def templates_of(takes: Sequence[ExportTake], speakers: Sequence[str]) -> dict[str, F32]:
    """Each speaker's neutral (V,3): of several takes the mean of their neutrals, by their tracked frames."""
    neutrals: defaultdict[str, list[F32]] = defaultdict(list)
    weights: defaultdict[str, list[int]] = defaultdict(list)
    for take, speaker in zip(takes, speakers, strict=True):
        neutrals[speaker].append(neutral_of(take.head, take.track))
        weights[speaker].append(max(int(take.track.tracked.sum()), 1))
    return {
        speaker: np.average(neutrals[speaker], axis=0, weights=weights[speaker]).astype(np.float32)
        for speaker in sorted(neutrals)
    }


def _require_one_head(takes: Sequence[ExportTake]) -> None:
    first = takes[0]
    for take in takes:
        if take.track.head_hash != first.track.head_hash:
            sentence = (
                f"The take “{take.name}” was tracked with the head “{take.track.head_id}”, “{first.name}” with another "
                f"(“{first.track.head_id}”): the vertices of one set of data are those of one head."
            )
            raise UserError(ErrorCode.BAD_EXPORT, sentence, "Track both with the same head, or export them apart.")


def _frames_of(take: ExportTake) -> int:
    """About how many frames will be written of a take."""
    return round((take.track.times[-1] - take.track.times[0]) * RATE)


def _footage(take: ExportTake) -> Path:
    return Path(take.track.cameras[0].footage)


def _require_sound(take: ExportTake) -> None:
    """Raise UserError where the take's sound is not there, or not in step with its frames."""
    path = _footage(take)
    if len(take.track.times) < 2:
        raise _too_short(take)
    try:
        heard = take.track.cameras[0].footage_kind == "video" and has_sound(path)
    except UserError as error:
        raise UserError(error.code, error.message, READ_AGAIN) from error
    if not heard:
        sentence = f"The take “{take.name}” has no sound: there is none in {path}."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Leave it out, or track footage that has sound.")
    played = probe(path).frame_rate
    if abs(take.track.frame_rate / played - 1) > OTHER_RATE:
        sentence = (
            f"The take “{take.name}” was tracked at {take.track.frame_rate:.6g} frames a second, but {path} plays "
            f"{played:.6g} with its sound."
        )
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Leave it out: its sound is not in step with its frames.")


def _too_short(take: ExportTake) -> UserError:
    sentence = f"The take “{take.name}” has no second on end in which a face was tracked and there is sound."
    return UserError(ErrorCode.BAD_EXPORT, sentence, "Leave it out, or track a longer part of its footage.")


def _write_take(export: _Export, take: ExportTake, speaker: str) -> None:
    export.tell(f"reading the sound of {take.name}")
    times, beside = take.track.times, max(CONTEXT, SILENT_END) + 1 / RATE
    start, stop = float(times[0]) - beside, float(times[-1]) + beside
    sound = read_sound(_footage(take), start, stop, export.should_cancel)
    usable = take.track.tracked.copy()
    if sound is not None:
        usable &= (times >= sound.start - SILENT_END) & (times <= sound.stop + SILENT_END)
    parts = stretches(times, usable) if sound is not None else ()
    if sound is None or not parts:
        raise _too_short(take)
    export.frames_total += sum(part.count for part in parts) - _frames_of(take)
    person, neutral = person_of(take.head, take.track), neutral_of(take.head, take.track)
    moved = export.templates[speaker] - neutral
    for part in parts:
        name = f"{speaker}_sentence{next(export.numbers[speaker]):02d}"
        _write_sentence(export, take, part, name, person, neutral, moved)
        samples = round(part.count * SAMPLE_RATE / RATE)
        files.write_wav(export.folder / "wav" / f"{name}.wav", sound.at_rate(SAMPLE_RATE, part.start, samples))
        export.sentences.append(_described(take, part, name, speaker, sound))


def _write_sentence(
    export: _Export, take: ExportTake, part: Stretch, name: str, person: HeadModel, neutral: F32, moved: F32
) -> None:
    with ExitStack() as stack:
        full, half = (
            stack.enter_context(files.VerticesFile(export.folder / folder / f"{name}.npy", count, moved.size))
            for folder, count in (("vertices_npy", part.count), ("30fps/vertices_npy", (part.count + 1) // 2))
        )
        for first in range(0, part.count, AT_ONCE):
            vertices = heads_at(take, part, person, neutral, first, min(first + AT_ONCE, part.count)) + moved
            full.append(vertices)
            half.append(vertices[::2])
            export.frames_done += len(vertices)
            export.tell(f"writing {name}")


def heads_at(take: ExportTake, part: Stretch, person: HeadModel, neutral: F32, first: int, last: int) -> F32:
    """Heads (n,V,3) in head space at frames ``first`` to ``last``, exclusive, of a stretch."""
    track, grid = take.track, part.grid(first, last)
    known, lowest, highest = track.times[part.frames], *person.expression_bounds.T
    # A spline overshoots by some hundredths where a mouth shuts quickly; a frame beyond its bounds keeps its value.
    own = track.expression[part.frames]
    expression = np.clip(
        interpolated(known, own, grid),
        np.minimum(lowest, own.min(axis=0)),
        np.maximum(highest, own.max(axis=0)),
    )
    return posed_vertices(person, neutral, expression, interpolated(known, track.gaze[part.frames], grid))


def _described(take: ExportTake, part: Stretch, name: str, speaker: str, sound: Sound) -> dict[str, Any]:
    shown = (take.track.times[part.frames] >= part.start - 1e-9) & (
        take.track.times[part.frames] <= part.start + (part.count - 1) / RATE + 1e-9
    )
    numbers = take.track.frames[part.frames[shown]]
    return {
        "name": name,
        "speaker": speaker,
        "take": take.name,
        "footage": _footage(take).name,
        "first_frame": int(numbers[0]),
        "last_frame": int(numbers[-1]),
        "start": round(part.start, 6),
        "frames": part.count,
        "sound_from": round(sound.start, 6),
        "sound_to": round(sound.stop, 6),
    }


def _write_lists(export: _Export, takes: Sequence[ExportTake], speakers: Sequence[str], splits: dict[str, str]) -> None:
    head, folder, templates = takes[0].head, export.folder, export.templates
    named = {split: [speaker for speaker in templates if splits[speaker] == split] for split in SPLITS}
    spread: dict[str, float] = {}
    for take, speaker in zip(takes, speakers, strict=True):
        off = np.linalg.norm(neutral_of(head, take.track) - templates[speaker], axis=1)[head.regions["face"]]
        spread[speaker] = round(max(spread.get(speaker, 0.0), float(off.mean() * 1e3)), 3)
    document = {
        "format": "flowface-speech",
        "version": 1,
        "head": {"id": takes[0].track.head_id, "hash": takes[0].track.head_hash, "vertices": head.vertex_count},
        "frame_rates": {"vertices_npy": RATE, "30fps/vertices_npy": RATE // 2},
        "sample_rate": SAMPLE_RATE,
        **named,
        "neutrals_apart_mm": spread,
        "sentences": export.sentences,
    }
    template = next(iter(templates.values()))
    for name, data in {
        "templates.pkl": files.templates_file(templates),
        "templates/template.ply": files.template_mesh(template, head.triangles),
        "regions/lve.txt": files.region_file(files.lip_vertices(head)),
        "regions/fdd.txt": files.region_file(files.upper_face_vertices(head)),
        "args.txt": files.faceformer_arguments(named, head.vertex_count),
        "codetalker.yaml": files.codetalker_settings(named, head.vertex_count),
        "splits.json": files.as_json(document),
    }.items():
        (folder / name).write_bytes(data)
