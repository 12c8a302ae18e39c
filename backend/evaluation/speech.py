"""Speech-driven animation against the truth: predictions of FaceFormer, CodeTalker and others, by LVE and FDD.

The folder of the truth is laid out as ``flowface export speech`` does and VOCASET is: ``vertices_npy/NAME.npy`` at 60
frames a second, ``templates.pkl``, ``regions/lve.txt`` and ``regions/fdd.txt``. A prediction is ``NAME.npy`` or, as
those models write it for a speaker that they were not trained on, ``NAME_condition_SPEAKER.npy`` for each style.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.metrics.lips import LipError, lip_vertex_error
from backend.evaluation.metrics.speech import upper_face_dynamics_deviation
from backend.evaluation.tables import Sheet, figure
from backend.head_model.converters.pickled_arrays import to_array
from backend.head_model.converters.restricted_pickle import PickleFault, read_pickle
from backend.progress import JobProgress, OnProgress
from backend.reading import is_file, is_folder, read_bounded, shown

F64 = NDArray[np.float64]

TRUTH_RATE = 60
MAX_BYTES = 1 << 30
"""Of a file of vertices: five minutes of FLAME's head at 60 frames a second."""
MAX_REGION_BYTES = 1 << 20
LENGTHS_APART = 0.5
"""Seconds by which a prediction may be longer or shorter than the truth: models count frames by their sound's packets.
CodeTalker's evaluation cuts such frames off, too."""
PAPER = (("CodeTalker on VOCA-Test (FlowFace, supplement H.4)", 3.13e-5), ("the same, FlowFace's data added", 2.85e-5))
"""Lip vertex error in m²; comparable with predictions of VOCASET's test speakers only."""


@dataclass(frozen=True, eq=False)
class SpeechTruth:
    """What predictions are held against. ``templates``: speaker → neutral (V,3) m; ``lips`` and ``upper``: vertices."""

    folder: Path
    templates: Mapping[str, F64]
    lips: NDArray[np.intp]
    upper: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SequenceScore:
    """One prediction: lips (T,L,3) of truth and prediction and at rest, metres, and its ``fdd`` in m²."""

    speaker: str
    true_lips: F64
    predicted_lips: F64
    resting_lips: F64
    fdd: float
    resting_fdd: float


def score_predictions(
    predictions: Path, data: Path, fps: int, on_progress: OnProgress = lambda _: None
) -> list[SequenceScore]:
    """Compare each prediction in a folder, of ``fps`` frames a second, with the truth in the folder ``data``.

    Raises:
        UserError: ``results_missing`` where there are no predictions or a truth is missing, ``bad_results`` for what
            does not fit it, ``file_missing``, ``bad_file`` and ``too_large`` for files that are not as they should be.
    """
    truth = read_truth(data)
    files = sorted(predictions.glob("*.npy")) if is_folder(predictions) else []
    if not files:
        sentence = f"There are no predictions (.npy) in {shown(predictions)}."
        raise UserError(ErrorCode.RESULTS_MISSING, sentence, "Name the folder that the model's test wrote.")
    scores = []
    for number, file in enumerate(files):
        on_progress(JobProgress("comparing", number / len(files), number, len(files)))
        scores.append(_score(file, truth, fps))
    return scores


def read_truth(data: Path) -> SpeechTruth:
    """Neutrals and regions of a folder of speech data; raises UserError as ``score_predictions``."""
    path = data / "templates.pkl"
    try:
        found = read_pickle(read_bounded(path, "templates", MAX_BYTES))
        if not isinstance(found, dict) or not found:
            raise PickleFault("it is no dictionary of speakers")
        templates = {name: np.asarray(to_array(value), np.float64).reshape(-1, 3) for name, value in found.items()}
    except (PickleFault, ValueError) as fault:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} is not a file of templates: {fault}.") from fault
    count = min(len(template) for template in templates.values())
    lips, upper = (_region(data / "regions" / name, count) for name in ("lve.txt", "fdd.txt"))
    return SpeechTruth(data, templates, lips, upper)


def _region(path: Path, count: int) -> NDArray[np.intp]:
    text = read_bounded(path, "region", MAX_REGION_BYTES)
    try:
        found = np.array([int(part) for part in text.split(b",")], np.intp)
    except (ValueError, OverflowError):
        found = np.array([-1])
    if found.min() < 0 or found.max() >= count:
        sentence = f"{shown(path)} does not list vertices: expected numbers from 0 to {count - 1} with commas between."
        raise UserError(ErrorCode.BAD_FILE, sentence)
    return found


def _score(file: Path, truth: SpeechTruth, fps: int) -> SequenceScore:
    name = file.stem.partition("_condition_")[0]
    speaker, path = name.rpartition("_")[0], truth.folder / "vertices_npy" / f"{name}.npy"
    if speaker not in truth.templates or not is_file(path):
        sentence = f"{shown(file)} predicts “{name}”, of which there is no template or no {shown(path)}."
        raise UserError(ErrorCode.RESULTS_MISSING, sentence, "Its name must be that of a sentence of the data.")
    template = truth.templates[speaker]
    true = read_vertices(path, len(template))[:: TRUTH_RATE // fps]
    predicted = read_vertices(file, len(template))
    if abs(len(true) - len(predicted)) > LENGTHS_APART * fps:
        sentence = f"{shown(file)} has {len(predicted)} frames, but {name} has {len(true)} at {fps} a second."
        raise UserError(ErrorCode.BAD_RESULTS, sentence, "Say by --fps how many frames a second were predicted.")
    frames = min(len(true), len(predicted))
    true, predicted = true[:frames], predicted[:frames]
    motion, guess = true[:, truth.upper] - template[truth.upper], predicted[:, truth.upper] - template[truth.upper]
    return SequenceScore(
        speaker,
        true[:, truth.lips].astype(np.float64),
        predicted[:, truth.lips].astype(np.float64),
        np.broadcast_to(template[truth.lips], (frames, len(truth.lips), 3)),
        upper_face_dynamics_deviation(motion, guess),
        upper_face_dynamics_deviation(motion, np.zeros_like(motion)),
    )


def read_vertices(path: Path, count: int) -> NDArray[Any]:
    """The frames (T,V,3) of a ``.npy`` of (T, V·3) or (T,V,3) numbers, of ``count`` vertices, without any pickle.

    Raises:
        UserError: ``file_missing``, ``too_large``; ``bad_file`` for what is not such a file or is not finite.
    """
    data = read_bounded(path, "vertices", MAX_BYTES)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"its format {version} is unknown")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(file)  # type: ignore[no-untyped-call]
        if dtype.kind != "f" or fortran or shape[1:] not in ((count * 3,), (count, 3)) or not shape[0]:
            raise ValueError(f"it holds {dtype} {shape}, expected real numbers (frames, {count * 3})")
        found: NDArray[Any] = np.frombuffer(data, dtype, offset=file.tell()).reshape(-1, count, 3)
        if len(found) != shape[0] or not np.isfinite(found).all():
            raise ValueError("it is cut off, or holds numbers that are not finite")
    except (ValueError, SyntaxError, TypeError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} is not a file of vertices: {error}.") from error
    return found


def lip_error_of(scores: Sequence[SequenceScore], *, at_rest: bool = False) -> LipError:
    """The lip vertex error over all frames of some predictions, or of a face that never moves."""
    predicted = [score.resting_lips if at_rest else score.predicted_lips for score in scores]
    return lip_vertex_error(np.concatenate([score.true_lips for score in scores]), np.concatenate(predicted))


def speech_sheet(scores: Sequence[SequenceScore]) -> Sheet:
    """The table: a row for each speaker, all of them, a face that never moves, and the paper's figures."""
    groups = {speaker: [s for s in scores if s.speaker == speaker] for speaker in sorted({s.speaker for s in scores})}
    rows = [_row(speaker, group) for speaker, group in groups.items()]
    rows += [_row("all", scores), _row("a face at rest", scores, at_rest=True)]
    rows += [(name, "", "", "", f"{value:.2e}", "") for name, value in PAPER]
    return Sheet(
        "Speech-driven animation",
        ("speaker", "sequences", "frames", "LVE, mm", "LVE, m²", "FDD, m²"),
        tuple(rows),
        "LVE: largest distance among the lips' vertices, mean over the frames; in m² squared before it, as papers do. "
        "FDD: of the upper face, how much livelier the truth is. The paper's are of VOCASET's test speakers.",
    )


def _row(name: str, scores: Sequence[SequenceScore], *, at_rest: bool = False) -> tuple[str, ...]:
    lips = lip_error_of(scores, at_rest=at_rest)
    deviation = float(np.mean([score.resting_fdd if at_rest else score.fdd for score in scores]))
    counts = str(len(scores)), str(sum(len(score.true_lips) for score in scores))
    return name, *counts, figure(lips.mean_mm, 3), f"{lips.mean_squared_m2:.2e}", f"{deviation:.2e}"
