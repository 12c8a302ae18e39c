"""A driver learnt from a rendered person: it tells what the truth is, on pictures that it has not learnt from."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.adaptation.losses import Weights
from backend.alignment.crop import cut
from backend.alignment.landmarks.face_mesh import box_around, crop_of
from backend.alignment.landmarks.features import FeatureNetwork
from backend.appearance import examples, train
from backend.appearance.adapt import AdaptOptions, LightAdapter
from backend.appearance.adapt_footage import figures
from backend.appearance.driver import Driver, DriverModel
from backend.appearance.measure import compare
from backend.appearance.model import face_metric, parameters_of
from backend.appearance.new_light import Looks
from backend.appearance.person import Person
from backend.appearance.regressor import Learnt as LearntLooks
from backend.appearance.regressor import Regressor, fit_regressor
from backend.appearance.storage import load_driver, save_driver
from backend.appearance.tune import TuneOptions, Tuner
from backend.errors import ErrorCode, UserError
from backend.live.session import FaceSession, SessionOptions
from backend.track.types import Track
from protocol.live import LivePhase, LivePose, LiveState, LiveTake, LiveVerb
from tests.backend.live.ends import Listener, Pictures

from .rendered import FRAMES, SIDE, rendered_take

HELD = np.arange(3, FRAMES, 5)
Learnt = tuple[Track, DriverModel, examples.Examples, NDArray[np.float64]]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    folder = tmp_path_factory.mktemp("take")
    track = rendered_take(folder)
    person = Person.of(track)
    frames = np.setdiff1d(np.arange(FRAMES), HELD)
    looks, skin = examples.gather(
        track, person, frames, on_progress=lambda *_: None, should_cancel=lambda: False, copies=3, textures=16
    )
    model, codes = train.learn(track, person, frames, looks, skin, "rendered")
    return track, model, looks, codes


def test_it_tells_a_rendered_face_that_it_has_not_learnt_from(learnt: Learnt) -> None:
    track, model, _, _ = learnt
    found = compare(model, track, HELD)
    assert found is not None
    assert (found.frames, found.lost) == (8, 0)
    assert found.vertex_mm < 0.6 * found.motion_mm
    assert found.ratio < 2.5  # beside a fit without any error
    assert found.head_degrees < 2.5


def test_a_mouth_opens_though_the_driver_has_learnt_from_shut_ones(learnt: Learnt) -> None:
    track, _, looks, _ = learnt
    person = Person.of(track)
    jaw = track.expression[:, person.model.expression_names.index("jawOpen")]
    frames = np.setdiff1d(np.flatnonzero(jaw < 0.05), HELD)
    shut = np.isin(looks.frame, frames)
    some: dict[str, Any] = {name: array[shut] for name, array in looks.arrays().items()}
    known = examples.Examples(**some)
    _, skin = examples.gather(
        track, person, frames[::4], on_progress=lambda *_: None, should_cancel=lambda: False, copies=1, textures=6
    )
    model, _ = train.learn(track, person, frames, known, skin, "rendered, shut")
    no_look_is_strange = replace(model, trust=replace(model.trust, usual=1e9))
    found = [compare(driver, track, np.flatnonzero(jaw > 0.2)) for driver in (model, no_look_is_strange)]
    open_mouth, expected = (one.vertex_mm for one in found if one is not None)
    assert open_mouth < 0.75 * expected


def test_a_code_leads_back_to_the_face_that_it_is_of(learnt: Learnt) -> None:
    track, model, looks, codes = learnt
    wanted = parameters_of(track.expression, track.gaze)[looks.frame]
    metric = face_metric(model.person.head)
    apart, motion = model.appearance.parameters(codes) - wanted, wanted - wanted.mean(axis=0)
    squares = [np.einsum("ti,ij,tj->", some, metric, some) for some in (apart, motion)]
    assert squares[0] < 0.02 * squares[1]


def test_steps_by_the_papers_losses_bring_a_spoilt_regressor_back(learnt: Learnt) -> None:
    track, model, looks, codes = learnt
    spoilt = replace(model.regressor, codes=0.5 * model.regressor.codes)
    camera = track.cameras[0]
    focal, centre = np.full(len(looks), camera.focal_px[0]), np.tile(camera.principal_point, (len(looks), 1))
    options = TuneOptions(steps=20, pairs=6, rate=1e-4, landmarks=0.1)
    tuner = Tuner(replace(model, regressor=spoilt), looks, codes, focal, centre, options)
    for _ in range(9):
        tuner.train()
    told = [one.code(one.whitened(looks.features)) for one in (spoilt, tuner.tuned().regressor)]
    errors = [np.square(one - codes).mean() for one in told]
    assert errors[1] < 0.8 * errors[0]
    again = Tuner(replace(model, regressor=spoilt), looks, codes, focal, centre, options)
    again.restore(tuner.state())
    assert again.train() == tuner.train()  # goes on at the very step


def test_a_picture_without_a_face_has_no_answer_and_the_next_one_has(learnt: Learnt) -> None:
    track, model, _, _ = learnt
    driver = Driver(model, focal_px=350.0)
    try:
        picture = cv2.imread(str(Path(track.cameras[0].footage).with_name("0020.png")))[..., ::-1]
        picture = np.ascontiguousarray(picture)
        assert driver.look(np.full((SIDE, SIDE, 3), 90, np.uint8)) is None
        answer = driver.look(picture)
        assert answer is not None
        assert answer.expression.shape == (52,)
        assert answer.expression.min() >= 0 and answer.expression.max() <= 1
        assert np.allclose(answer.rotation @ answer.rotation.T, np.eye(3), atol=1e-9)
        assert abs(answer.translation[2] / track.head_translation[19, 2] - 1) < 0.05
    finally:
        driver.close()


def test_a_driver_is_the_same_once_it_was_written_and_read(learnt: Learnt, tmp_path: Path) -> None:
    _, model, looks, _ = learnt
    save_driver(model, tmp_path / "person.npz")
    again = load_driver(tmp_path / "person.npz")
    own, strange = looks.own[:5].astype(np.float64), np.linspace(0, 9, 5)[:, None]
    told: list[NDArray[np.float64]] = []
    read: list[NDArray[np.float64]] = []
    for which, answers in ((model, told), (again, read)):
        x = which.regressor.whitened(looks.features[:5]) * (1 + strange).astype(np.float32)
        answers += [which.regressor.code(x), which.regressor.place(x, own, np.full(5, 0.4)), which.trust.strangeness(x)]
    assert all(np.array_equal(one, other) for one, other in zip(told, read, strict=True))
    assert told[2].max() > 2
    for name in ("noise", "iris", "iris_noise"):
        assert np.array_equal(getattr(again.trust, name), getattr(model.trust, name))
    codes = np.random.default_rng(0).normal(size=(4, len(model.appearance.components)))
    assert np.allclose(model.appearance.parameters(codes), again.appearance.parameters(codes), atol=1e-5)
    assert np.allclose(model.appearance.texture(codes), again.appearance.texture(codes), atol=1e-5)
    assert (again.name, again.focal_ratio) == (model.name, model.focal_ratio)
    assert np.array_equal(again.person.identity, model.person.identity)


def test_a_file_whose_parts_do_not_fit_is_refused_in_words(learnt: Learnt, tmp_path: Path) -> None:
    _, model, _, _ = learnt
    short = replace(model.regressor, codes_at=model.regressor.codes_at[:-1])
    save_driver(replace(model, regressor=short), tmp_path / "person.npz")
    with pytest.raises(UserError, match=r"not a whole driver.*codes_at") as error:
        load_driver(tmp_path / "person.npz")
    assert error.value.code == ErrorCode.BAD_FILE
    few = replace(model.trust, noise=model.trust.noise[:-1])
    save_driver(replace(model, trust=few), tmp_path / "few.npz")
    with pytest.raises(UserError, match=r"not a whole driver.*noise"):
        load_driver(tmp_path / "few.npz")
    save_driver(replace(model, trust=replace(model.trust, usual=0.0)), tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"not a whole driver.*trust"):
        load_driver(tmp_path / "none.npz")


def test_a_person_of_no_numbers_is_refused_in_words(learnt: Learnt, tmp_path: Path) -> None:
    _, model, _, _ = learnt
    person = replace(model.person, identity=np.full_like(model.person.identity, np.nan))
    save_driver(replace(model, person=person), tmp_path / "person.npz")
    with pytest.raises(UserError, match=r"identity.* not finite"):
        load_driver(tmp_path / "person.npz")


def test_a_driver_of_another_head_or_with_texels_elsewhere_is_refused(learnt: Learnt, tmp_path: Path) -> None:
    _, model, _, _ = learnt
    save_driver(replace(model, person=replace(model.person, head_hash="0" * 16)), tmp_path / "other.npz")
    with pytest.raises(UserError, match="has changed since") as refused:
        load_driver(tmp_path / "other.npz")
    assert refused.value.code == ErrorCode.HEAD_CHANGED
    far = replace(model.appearance, rows=model.appearance.rows + model.appearance.side)
    save_driver(replace(model, appearance=far), tmp_path / "far.npz")
    with pytest.raises(UserError, match="outside its texture"):
        load_driver(tmp_path / "far.npz")


def test_whatever_is_wrong_with_a_file_is_named(learnt: Learnt, tmp_path: Path) -> None:
    _, model, _, _ = learnt
    path = tmp_path / "person.npz"
    save_driver(model, path)
    whole = dict(np.load(path))
    header = json.loads(whole["header"].tobytes())

    def refused(changed: dict[str, object]) -> str:
        np.savez(path, **{name: array for name, array in (whole | changed).items() if array is not None})
        with pytest.raises(UserError) as error:
            load_driver(path)
        assert error.value.code == ErrorCode.BAD_FILE
        return error.value.message.partition(" is not a whole driver: ")[2]

    for name in whole:
        assert refused({name: None}) == f"“{name}” is missing."
        assert refused({name: np.float32(3)}).startswith(f"“{name}” is float32 of 0 dimensions, ")
    assert refused({"rows": whole["rows"].astype(float)}).startswith("“rows” is float64 of 1 dimensions")
    assert "“action_corrections” has shape (1, 5, 3)" in refused({"action_corrections": np.zeros((1, 5, 3))})
    for name, value in itertools.product(header, ([1], None, float("inf"))):
        if name != "about":
            sentence = refused({"header": np.frombuffer(json.dumps(header | {name: value}).encode(), np.uint8)})
            assert name in sentence or name == "format"
    assert refused({"header": np.frombuffer(b"{", np.uint8)}).startswith("its header is no JSON")


def test_a_linear_truth_is_found_whether_there_are_more_looks_or_more_features() -> None:
    rng = np.random.default_rng(6)
    for count, width in ((200, 30), (60, 90)):
        features = rng.normal(size=(count, width)).astype(np.float32)
        truth = rng.normal(size=(width, 4)) if count > width else np.outer(np.ones(width), np.ones(4))
        codes = features @ truth
        regressor: Regressor = fit_regressor(LearntLooks.of(features), codes, np.zeros((count, 3, 2)))
        x = regressor.whitened(features)
        told, points = regressor.code(x), regressor.place(x, np.ones((count, 3, 2)), np.ones(count))
        assert np.corrcoef(told.ravel(), codes.ravel())[0, 1] > 0.98
        assert np.allclose(points, 1, atol=1e-6)


def test_a_live_session_is_driven_by_it_without_calibrating(learnt: Learnt, tmp_path: Path) -> None:
    track, model, _, _ = learnt
    save_driver(model, tmp_path / "person.npz")
    beside = Path(track.cameras[0].footage)
    shown = [np.ascontiguousarray(cv2.imread(str(beside.with_name(f"{n:04d}.png")))[..., ::-1]) for n in range(14, 24)]
    shown[4] = np.full_like(shown[4], 90)
    source = Pictures([np.full_like(shown[0], 90), *shown], range(1, 12), track.frame_rate)
    listener = Listener({0: LiveVerb.RECORD, 4: LiveVerb.CALIBRATE})
    FaceSession(source, SessionOptions(learnt=tmp_path / "person.npz", recordings=tmp_path, filtered=False)).run(
        listener
    )

    (told,) = listener.of(LiveTake)  # of the first picture with a face
    rest = model.person.neutral
    assert told.take.head.head_id == "open"
    assert np.abs(told.take.head.neutral[: told.take.head.own_vertices] - rest).max() < 1e-4
    poses = listener.of(LivePose)
    assert [pose.number for pose in poses] == list(range(3, 12))
    assert [pose.seen for pose in poses] == [number != 6 for number in range(3, 12)]
    frames = np.array([n for n in range(14, 23) if n != 17])
    jaw = model.person.model.expression_names.index("jawOpen")
    wanted, seen = track.expression[frames, jaw], [pose.expression[jaw] for pose in poses if pose.seen]
    assert np.abs(np.array(seen) - wanted).mean() < 0.5 * np.ptp(track.expression[:, jaw])
    depth = np.array([pose.head_translation[2] for pose in poses if pose.seen])
    assert np.abs(depth / track.head_translation[frames, 2] - 1).max() < 0.05
    sentences = [state.sentence for state in listener.of(LiveState)]
    assert "Recording begins once the face is seen." in sentences
    assert "A learnt driver knows the person already: there is nothing to calibrate." in sentences
    assert listener.of(LiveState)[-1].phase is LivePhase.ENDED


def _dark_looks(track: Track, person: Person) -> Looks:
    """Looks at some frames of a take as if in a dim and reddish light."""
    frames = np.arange(12, 24)
    network, number = FeatureNetwork(), person.points.number
    crops, pictures = [], []
    places = examples.projected(track, person, 0, frames)
    for frame, at in zip(frames, places, strict=True):
        name = Path(track.cameras[0].footage).with_name(f"{frame + 1:04d}.png")
        crops.append(crop_of(box_around(at)))
        bright = cut(np.ascontiguousarray(cv2.imread(str(name))[..., ::-1]), crops[-1])
        pictures.append((bright * (0.6, 0.5, 0.4)).astype(np.uint8))
    seen = network(pictures)
    network.close()
    told = [crop.points_from_image(at[number]) for crop, at in zip(crops, places, strict=True)]
    return Looks(
        number=frames.astype(np.int64) + 1,
        pictures=np.stack(pictures),
        crop=np.array([(crop.x, crop.y, crop.side, crop.roll) for crop in crops]),
        features=seen.features,
        own=seen.points[:, number, :2].astype(np.float32),
        detected=np.stack(told).astype(np.float32),
        size=np.array(track.cameras[0].image_size, np.int64),
    )


def test_in_another_light_all_losses_together_fall(learnt: Learnt) -> None:
    track, model, _, _ = learnt
    looks = _dark_looks(track, model.person)
    options = AdaptOptions(steps=12, pairs=11, weights=Weights(100.0, 10.0, 1.0), rate=1e-4)
    adapter = LightAdapter(model, looks, 350.0, options)
    losses = [adapter.train() for _ in range(6)]
    total = [100 * one["consecutive"] + 10 * one["model"] + one["landmarks"] for one in losses]
    assert total[-1] < 0.9 * total[0]
    assert figures(adapter.adapted(), looks, 350.0).landmarks < 0.5


def test_the_colour_correction_is_the_light_that_the_skin_was_put_in(learnt: Learnt) -> None:
    track, model, _, _ = learnt
    looks = _dark_looks(track, model.person)
    adapter = LightAdapter(model, looks, 350.0, AdaptOptions(steps=1))
    colours = adapter.colours().numpy()
    # C maps the take's light onto the dim one: each channel of grey skin by its own share, red most and blue least
    grey = np.array([[0.3, 0.3, 0.3], [0.6, 0.6, 0.6]])
    middle, spread = adapter.units
    units = (grey - middle) / spread
    moved = (units @ colours[:3] + colours[3]) * spread + middle
    shares = (moved[1] - moved[0]) / 0.3
    assert shares[0] > shares[2]
    assert 0.3 < shares.mean() < 0.75
