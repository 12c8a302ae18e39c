"""Speech data, read back as the loaders of FaceFormer and CodeTalker read it."""

from __future__ import annotations

import json
import pickle
import pickletools
import shlex
import wave
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.errors import Cancelled, UserError
from backend.export.registry import export_takes
from backend.export.takes import ExportTake
from backend.footage import probe
from backend.head_model.converters.pickled_arrays import to_array
from backend.head_model.converters.restricted_pickle import read_pickle
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices
from backend.progress import JobProgress, never
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track
from protocol.arrays import at_frames
from tests.backend.footage.talking import BURST, begins, burst_at, write_talking
from tests.backend.heads import small_head
from tests.blender.runners import performance

BURST_FRAME = 18  # of footage of 24 frames a second: 0.75 s
HUNDREDTH_MM = 1e-5  # m


@dataclass(frozen=True)
class Sentence:
    """One sentence as a loader has it."""

    vertices: NDArray[Any]
    template: NDArray[Any]
    sound: NDArray[np.int16]


def loaded(folder: Path, dataset: str = "vocaset") -> tuple[dict[str, dict[str, Sentence]], Namespace]:
    """What the loaders make of the folder: the sentences by split and name. Written after their public behaviour."""
    parser = ArgumentParser()
    for name in ("dataset", "wav_path", "vertices_path", "template_file"):
        parser.add_argument(f"--{name}")
    for name in ("train_subjects", "val_subjects", "test_subjects"):
        parser.add_argument(f"--{name}", type=str)
    for name in ("vertice_dim", "feature_dim", "period"):
        parser.add_argument(f"--{name}", type=int)
    args = parser.parse_args(shlex.split((folder / "args.txt").read_text()))
    with (folder / args.template_file).open("rb") as file:
        templates = pickle.load(file, encoding="latin1")  # noqa: S301 - as they do; we wrote it
    asked = {"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}
    found: dict[str, dict[str, Sentence]] = {split: {} for split in asked}
    for path in (folder / args.wav_path).rglob("*wav"):
        key = path.name.replace("wav", "npy")
        subject = "_".join(key.split("_")[:-1])
        assert subject == key.split("_")[0] == key.split("_sentence")[0], "all three loaders find the same speaker"
        vertices = np.load(folder / args.vertices_path / key, allow_pickle=True)
        with wave.open(str(path)) as sound:
            assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16000)
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        template = templates[subject].reshape(-1)
        assert vertices.dtype == template.dtype == np.float32 and vertices.shape[1] == len(template) == args.vertice_dim
        sentence = Sentence(vertices[::2] if dataset == "vocaset" else vertices, template, samples)
        for split, numbers in asked.items():
            subjects = getattr(args, f"{split}_subjects").split(" ")
            if subject in subjects and int(key.split(".")[0][-2:]) in numbers:
                found[split][key.split(".")[0]] = sentence
    return found, args


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 24 frames a second; at the time of frame 18 there is a burst."""
    sound = burst_at(BURST_FRAME / 24, 2.0, 44100)
    return write_talking(tmp_path_factory.mktemp("clips") / "clip.mp4", 48, sound=sound, sound_rate=44100)


@pytest.fixture(scope="module")
def head() -> HeadModel:
    plain = small_head()
    skin = plain.regions["skin"]
    parts = {
        name: skin & (np.arange(21) // 3 == triangle) for name, triangle in (("mouth", 0), ("nose", 1), ("eyes", 6))
    }
    return replace(plain, regions={**plain.regions, **parts, "lips": parts["mouth"] & (np.arange(21) > 0)})


def spoken(head: HeadModel, clip: Path, frames: int = 48, rate: float = 24.0) -> Track:
    """A mouth that opens and shuts twice a second, before a camera that the head turns away from."""
    times = np.arange(frames) / rate
    few = at_frames(performance(str(clip)), np.arange(frames) % 10)
    expression = np.stack([0.5 - 0.4 * np.cos(4 * np.pi * times), np.sin(2 * np.pi * times)], axis=1)
    return replace(
        few,
        head_id=head.id,
        head_hash=head.hash,
        identity=np.array([1, -2, 0, 0.5], np.float32),
        expression=expression.astype(np.float32),
        times=times,
        frames=np.arange(1, frames + 1),
        scene_frames=np.arange(1.0, frames + 1),
        frame_rate=rate,
    )


def exported(folder: Path, *takes: ExportTake) -> Path:
    folder.mkdir()
    told: list[JobProgress] = []
    export_takes(takes, "speech", folder, told.append, never)
    assert told[-1].frames_done == told[-1].frames_total > 60 and told[-1].fraction == 1
    return folder


@pytest.fixture(scope="module")
def one(head: HeadModel, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    take = ExportTake(spoken(head, clip), head, Path("track.npz"), "anna_1")
    return exported(tmp_path_factory.mktemp("one") / "data", take)


def test_motion_at_60_frames_a_second_is_the_closed_form(one: Path, head: HeadModel, clip: Path) -> None:
    found, _ = loaded(one, "every frame")
    vertices = found["train"]["anna_sentence01"].vertices.reshape(-1, 21, 3)
    assert len(vertices) == 118  # 47/24 s hold 117.5 frames, and one more is at 0
    times = np.arange(118) / 60
    weights = np.stack([0.5 - 0.4 * np.cos(4 * np.pi * times), np.sin(2 * np.pi * times)], axis=1)
    neutral = neutral_of(head, spoken(head, clip))
    expected = neutral + np.einsum("tk,kvc->tvc", weights, head.expression_basis)
    largest = np.abs(head.expression_basis).max()
    np.testing.assert_allclose(vertices[8:-8], expected[8:-8], atol=0.004 * largest)
    # 24 and 60 frames a second meet every half second of a take, and in all of its even frames ten frames later
    own = posed_vertices(head, neutral, spoken(head, clip).expression[::2], np.zeros((24, 2, 2)))
    np.testing.assert_allclose(vertices[::5], own, atol=HUNDREDTH_MM)
    np.testing.assert_array_equal(
        np.load(one / "30fps/vertices_npy/anna_sentence01.npy"), found["train"]["anna_sentence01"].vertices[::2]
    )


def test_the_sound_is_in_step_to_a_frame_and_as_long(one: Path) -> None:
    found, _ = loaded(one)
    sentence = found["train"]["anna_sentence01"]
    assert len(sentence.sound) == round(118 * 16000 / 60)
    assert begins(sentence.sound, 16000) == pytest.approx(BURST_FRAME / 24, abs=1 / 60 / 8)
    assert np.abs(sentence.sound[: round((BURST_FRAME / 24 - BURST) * 16000)]).max() < 0.02 * 32767
    assert abs(len(sentence.sound) / 16000 - len(sentence.vertices) / 30) < 1 / 30


def test_the_files_beside_are_as_the_evaluators_read_them(one: Path, head: HeadModel) -> None:
    lips = [int(part) for part in (one / "regions/lve.txt").read_text().split(", ")]
    assert lips == [1, 2]
    upper = [int(part) for part in (one / "regions/fdd.txt").read_text().split(", ")]
    lowest = head.template[18:21, 1].min()  # triangle 6 is the eyes, 0 the mouth, 1 the nose; others are no skin
    assert upper == [vertex for vertex in range(18, 21) if head.template[vertex, 1] >= lowest]
    data = (one / "templates.pkl").read_bytes()
    named = {argument for _, argument, _ in pickletools.genops(data) if isinstance(argument, str)}
    assert named == {"anna", "numpy", "ndarray", "<f4"}, "nothing that only one version of numpy has"
    safely = read_pickle(data)
    assert isinstance(safely, dict)
    np.testing.assert_array_equal(to_array(safely["anna"]), pickle.loads(data)["anna"])  # noqa: S301 - we wrote it
    written = json.loads((one / "splits.json").read_text())
    assert (written["train"], written["val"], written["test"]) == (["anna"], [], [])
    (sentence,) = written["sentences"]
    assert (sentence["first_frame"], sentence["last_frame"], sentence["frames"]) == (1, 47, 118)
    mesh = (one / "templates/template.ply").read_text().splitlines()
    assert mesh[0] == "ply" and mesh[-1] == "3 18 19 20" and len(mesh) == 9 + 21 + 7
    assert f"in_dim: {21 * 3}" in (one / "codetalker.yaml").read_text()


def test_speakers_share_a_neutral_and_are_split(head: HeadModel, clip: Path, tmp_path: Path) -> None:
    track = spoken(head, clip)
    other = replace(track, identity=np.array([0, 1, 1, 0], np.float32), tracked=np.arange(48) < 30)
    names = {"anna_1": track, "anna_2": other, "ben_1": track, "cleo_a_b": track}
    takes = [ExportTake(take, head, Path("track.npz"), name) for name, take in names.items()]
    folder = exported(tmp_path / "data", *takes)
    found, args = loaded(folder)
    assert (args.train_subjects, args.val_subjects, args.test_subjects) == ("anna", "ben", "cleo")
    assert {split: sorted(sentences) for split, sentences in found.items()} == {
        "train": ["anna_sentence01", "anna_sentence02"],
        "val": ["ben_sentence21"],
        "test": ["cleo_sentence21"],
    }
    mean = (48 * neutral_of(head, track) + 30 * neutral_of(head, other)) / 78
    for name, own in (("anna_sentence01", track), ("anna_sentence02", other)):
        sentence = found["train"][name]
        np.testing.assert_allclose(sentence.template.reshape(-1, 3), mean, atol=1e-6)
        offsets = (sentence.vertices - sentence.template).reshape(-1, 21, 3)
        expected = np.einsum("k,kvc->vc", own.expression[4], head.expression_basis)  # frame 4: 1/6 s, the fifth of 30
        np.testing.assert_allclose(offsets[5], expected, atol=HUNDREDTH_MM)
    apart = json.loads((folder / "splits.json").read_text())["neutrals_apart_mm"]
    assert apart["anna"] > 100 and apart["ben"] == 0  # random heads are metres apart


def test_the_open_heads_own_frames_are_kept_without_its_head_motion(tmp_path: Path) -> None:
    sound = burst_at(0.5, 1.2, 48000)
    clip = write_talking(tmp_path / "clip.mkv", 34, picture_rate=30, sound=sound, codec="pcm_s16le")
    head = load_head("open")
    few = at_frames(performance(str(clip)), np.arange(34) % 10)
    track = replace(few, times=np.arange(34) / 30, frames=np.arange(1, 35), frame_rate=30.0)
    folder = exported(tmp_path / "data", ExportTake(track, head, Path("track.npz"), "anna"))
    vertices = np.load(folder / "30fps/vertices_npy/anna_sentence01.npy").reshape(34, -1, 3)
    posed = posed_vertices(person_of(head, track), neutral_of(head, track), track.expression, track.gaze)
    np.testing.assert_allclose(vertices, posed, atol=HUNDREDTH_MM)
    lips = np.array((folder / "regions/lve.txt").read_text().split(", "), int)
    upper = np.array((folder / "regions/fdd.txt").read_text().split(", "), int)
    neutral = neutral_of(head, track)
    assert neutral[upper, 1].min() > neutral[lips, 1].max() + 0.01 and len(upper) > 500
    assert not set(upper) & set(np.flatnonzero(head.regions["left_eyeball"]))


def test_uneven_times_and_lost_frames_keep_motion_and_sound_in_step(head: HeadModel, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ticks = [round(1000 * n + (200 * random.uniform(-1, 1) if 0 < n < 71 else 0)) for n in range(72)]
    times = [Fraction(tick, 24000) for tick in ticks]
    clip = write_talking(tmp_path / "v.mp4", 72, sound=burst_at(2.2, 3.0, 48000), times=times)
    track = spoken(head, clip, 72)
    seconds = np.array([float(time) for time in times])
    jaw = 0.5 - 0.4 * np.cos(4 * np.pi * seconds)
    expression = np.stack([jaw, np.sin(2 * np.pi * seconds)], axis=1).astype(np.float32)
    tracked = np.ones(72, bool)
    tracked[[31, 32, 33, 34, 35]] = False
    expression[31:36] = 9  # nothing of a frame without a face is used
    rate = probe(clip).frame_rate
    track = replace(track, times=seconds, expression=expression, tracked=tracked, frame_rate=rate)
    folder = exported(tmp_path / "data", ExportTake(track, head, Path("track.npz"), "anna"))
    first, second = json.loads((folder / "splits.json").read_text())["sentences"]
    assert (first["first_frame"], second["first_frame"]) == (1, 37) and first["last_frame"] <= 31
    assert second["start"] == pytest.approx(seconds[36], abs=1e-6)
    found, _ = loaded(folder, "every frame")
    sentence = found["train"]["anna_sentence02"]
    at = seconds[36] + np.arange(second["frames"]) / 60
    assert at[-1] <= seconds[71] < at[-1] + 1 / 60
    weights = np.stack([0.5 - 0.4 * np.cos(4 * np.pi * at), np.sin(2 * np.pi * at)], axis=1)
    expected = neutral_of(head, track) + np.einsum("tk,kvc->tvc", weights, head.expression_basis)
    off = np.abs(sentence.vertices.reshape(-1, 21, 3) - expected)[8:-8].max()
    assert off < 0.006 * np.abs(head.expression_basis).max()
    assert begins(sentence.sound, 16000) + seconds[36] == pytest.approx(2.2, abs=1 / 60 / 8)


def test_frames_beyond_the_sound_are_no_part_of_a_sentence(head: HeadModel, tmp_path: Path) -> None:
    clip = write_talking(tmp_path / "s.mkv", 48, sound=burst_at(0.2, 1.3, 48000), codec="pcm_s16le")
    folder = exported(tmp_path / "data", ExportTake(spoken(head, clip), head, Path("track.npz"), "anna"))
    (sentence,) = json.loads((folder / "splits.json").read_text())["sentences"]
    assert sentence["last_frame"] == 33  # at 32/24 s = 1.333, within 50 ms of 1.3; the next is at 1.375


def test_what_cannot_be_exported_is_said_of_its_take(head: HeadModel, clip: Path, tmp_path: Path) -> None:
    track = spoken(head, clip)
    silent = replace(track.cameras[0], footage=str(write_talking(tmp_path / "silent.mp4", 48)))
    still = replace(track.cameras[0], footage_kind="sequence")
    gone = replace(track.cameras[0], footage=str(tmp_path / "gone.mp4"))
    cases = [
        (replace(track, cameras=(silent,)), "bad_export", "“ben_2” has no sound"),
        (replace(track, cameras=(still,)), "bad_export", "“ben_2” has no sound"),
        (replace(track, cameras=(gone,)), "footage_missing", "gone.mp4"),
        (replace(track, head_hash="f" * 16), "bad_export", "“ben_2” was tracked with the head"),
        (replace(track, frame_rate=48.0), "bad_export", "“ben_2” was tracked at 48 frames"),
        (replace(track, tracked=np.arange(48) % 4 == 0), "bad_export", "“ben_2” has no second"),
        (at_frames(track, np.array([7])), "bad_export", "“ben_2” has no second"),
    ]
    for bad, code, words in cases:
        takes = [ExportTake(track, head, Path("a.npz"), "anna_1"), ExportTake(bad, head, Path("b.npz"), "ben_2")]
        folder = tmp_path / "out"
        folder.mkdir()
        with pytest.raises(UserError, match=words) as caught:
            export_takes(takes, "speech", folder, lambda _: None, never)
        assert caught.value.code == code
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        folder.rmdir()


@pytest.mark.parametrize("before", [0, 1, 2, 10])  # of the last, while the sound is read
def test_it_is_called_off_between_two_pieces(head: HeadModel, clip: Path, tmp_path: Path, before: int) -> None:
    asked = iter([False] * before + [True] * 100)
    take = ExportTake(spoken(head, clip), head, Path("track.npz"), "anna")
    with pytest.raises(Cancelled):
        export_takes([take], "speech", tmp_path, lambda _: None, lambda: next(asked))
    assert not (tmp_path / "splits.json").exists()
