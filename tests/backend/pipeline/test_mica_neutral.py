"""MICA's neutral: from the published checkpoint's form to a mean of predictions in head space, or a refusal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import Cancelled, UserError
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head, mica_path
from backend.head_model.mica.model import Mica, add_mica, load_mica
from backend.head_model.model import HeadModel, SurfacePoints
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView
from backend.pipeline.arcface_crops import TEMPLATE, arcface_crop, five_points
from backend.pipeline.neutral_prior import FacePicture, MicaNeutral, mica_neutrals, predicted_neutral, predictor_for
from backend.pipeline.open_views import open_views
from backend.pipeline.told_neutral import face_pictures
from protocol.messages import TrackJob, ViewSpec
from tests.backend.head_model.mica_files import FLAME, arcface_shapes, mica_checkpoint, regressor_shapes, save
from tests.backend.heads import small_head

VERTICES = 5023
run = CliRunner()


def mean_face() -> NDArray[np.float64]:
    """5,023 points about a head of human size: no face is looked at here."""
    random = np.random.default_rng(2)
    points = random.normal(size=(VERTICES, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) * [0.075, 0.11, 0.09] + [0.0, -0.02, 0.01]


SHAPEDIRS = 0.002 * np.random.default_rng(3).normal(size=FLAME["shapedirs"])
TURN, SHIFT = Rotation.from_rotvec([0.1, -0.2, 0.05]), np.array([0.002, -0.03, 0.01])
"""From MICA's FLAME to the head that is tracked with: another FLAME has another origin."""


def flame_head() -> HeadModel:
    """A head of FLAME's count; what a neutral does not ask of it is empty."""
    return dataclasses.replace(
        small_head(),
        id="flame",
        template=(TURN.apply(mean_face()) + SHIFT).astype(np.float32),
        vertex_weight=np.random.default_rng(6).uniform(0.005, 1, VERTICES).astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Added:
    checkpoint: dict[str, Any]
    mica: Mica
    listed: str  # what `head list` said then


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Added]:
    """The command adds a checkpoint of the full size; the weights that it keeps are loaded once."""
    checkpoint = mica_checkpoint(mean_face(), SHAPEDIRS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        file = save(tmp_path_factory.mktemp("mica") / "mica.tar", checkpoint)
        said = run.invoke(app, ["head", "add-mica", str(file)])
        assert said.exit_code == 0, said.output
        assert "non-commercial" in said.output
        file.unlink()
        yield Added(checkpoint, load_mica(), run.invoke(app, ["head", "list"], env={"COLUMNS": "300"}).output)
        assert "removed" in run.invoke(app, ["head", "remove-mica"]).output
        assert not mica_path().exists()


def picture(phase: float, five: NDArray[np.float64] | None = None) -> FacePicture:
    """A smooth RGB picture of 200 × 160 in which MediaPipe sees the five points of a crop."""
    y, x = np.mgrid[:160, :200]
    waves = [np.sin(x / (9 + 3 * c) + phase * (c + 1)) * np.cos(y / 14 - phase) for c in range(3)]
    image = (127 + 120 * np.stack(waves, axis=2)).astype(np.uint8)
    return FacePicture(image, (seen_by_mediapipe(TEMPLATE * 1.1 + [35, 10] if five is None else five),))


def seen_by_mediapipe(five: NDArray[np.float64]) -> PointSet:
    mu = np.full((1, 478, 2), np.nan, np.float32)
    eye = np.array([[-8.0, 1], [9, -2], [1, -3], [-2, 4]])  # corners and lids; their mean is the eye
    mu[0, [33, 133, 159, 145]] = five[0] + eye
    mu[0, [362, 263, 386, 374]] = five[1] - eye
    mu[0, [1, 61, 291]] = five[2:]
    return PointSet.of("mediapipe478", mu, np.ones((1, 478), np.float32), np.isfinite(mu).all(axis=2), "mediapipe")


def own_encoder(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """The encoder written out from the names of its tensors."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (tensors[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, mean, var, weight, bias, eps=1e-5)

    x = functional.conv2d(x, tensors["conv1.weight"], padding=1)
    x = functional.prelu(norm(x, "bn1"), tensors["prelu.weight"])
    for stage, count in enumerate((3, 13, 30, 3), start=1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 else 1
            y = functional.conv2d(norm(x, f"{name}.bn1"), tensors[f"{name}.conv1.weight"], padding=1)
            y = functional.prelu(norm(y, f"{name}.bn2"), tensors[f"{name}.prelu.weight"])
            y = norm(functional.conv2d(y, tensors[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn3")
            if block == 0:
                x = norm(functional.conv2d(x, tensors[f"{name}.downsample.0.weight"], stride=2), f"{name}.downsample.1")
            x = x + y
    x = functional.linear(norm(x, "bn2").flatten(1), tensors["fc.weight"], tensors["fc.bias"])
    return norm(x, "features")


def own_vertices(flame: dict[str, Tensor], code: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mapping and FLAME's shapes in numpy, for one code (512,)."""
    held = {name: tensor.double().numpy() for name, tensor in flame.items()}
    h = code / np.sqrt(np.sum(code * code))
    for layer in range(4):
        h = held[f"regressor.network.{layer}.weight"] @ h + held[f"regressor.network.{layer}.bias"]
        h = np.where(h > 0, h, 0.2 * h)
    shape = held["regressor.output.weight"] @ h + held["regressor.output.bias"]
    return held["generator.v_template"] + held["generator.shapedirs"][:, :, :300] @ shape


def test_the_mean_of_predictions_is_that_of_an_independent_computation(added: Added) -> None:
    pictures = [picture(0.3), picture(1.7)]
    crops = np.stack([arcface_crop(p.image, TEMPLATE * 1.1 + [35, 10]) for p in pictures])
    x = (torch.tensor(crops).permute(0, 3, 1, 2).float() - 127.5) / 127.5
    codes = own_encoder(added.checkpoint["arcface"], x).double().numpy()
    assert np.linalg.norm(codes[0] - codes[1]) > 0.1 * np.linalg.norm(codes[0])
    own = np.stack([own_vertices(added.checkpoint["flameModel"], code) for code in codes])
    assert np.abs(own - mean_face()).max() > 1e-3 and np.abs(own[0] - own[1]).max() > 1e-4
    head = flame_head()
    shown = [pictures[0], FacePicture(pictures[0].image, ()), pictures[1]]  # one without a face is left out
    found = predicted_neutral(predictor_for("mica"), head, iter(shown))
    np.testing.assert_allclose(found, TURN.apply(own.mean(axis=0)) + SHIFT, atol=2e-6)


def by_hand(x: NDArray[np.float64], weight: NDArray[np.float64], stride: int) -> NDArray[np.float64]:
    """A 3×3 or 1×1 convolution of (C,H,W), every output a sum over its taps."""
    size = weight.shape[2]
    padded = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    out = np.zeros((len(weight), -(-x.shape[1] // stride), -(-x.shape[2] // stride)))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            under = padded[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.einsum("ocij,cij->o", weight, under)
    return out


def test_stem_and_first_block_by_hand(added: Added) -> None:
    held = {name: tensor.double().numpy() for name, tensor in added.checkpoint["arcface"].items()}

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        scale = held[f"{name}.weight"] / np.sqrt(held[f"{name}.running_var"] + 1e-5)
        shift = held[f"{name}.bias"] - scale * held[f"{name}.running_mean"]
        return scale[:, None, None] * x + shift[:, None, None]

    def prelu(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return np.where(x > 0, x, held[f"{name}.weight"][:, None, None] * x)

    x = np.random.default_rng(8).uniform(-1, 1, (3, 6, 6))
    y = prelu(norm(by_hand(x, held["conv1.weight"], 1), "bn1"), "prelu")
    inner = by_hand(norm(y, "layer1.0.bn1"), held["layer1.0.conv1.weight"], 1)
    inner = by_hand(prelu(norm(inner, "layer1.0.bn2"), "layer1.0.prelu"), held["layer1.0.conv2.weight"], 2)
    around = norm(by_hand(y, held["layer1.0.downsample.0.weight"], 2), "layer1.0.downsample.1")
    encoder = added.mica.network.arcface
    with torch.no_grad():
        stem = encoder.prelu(encoder.bn1(encoder.conv1(torch.tensor(x)[None].float())))
        found = encoder.layer1[0](stem)  # type: ignore[index]
    np.testing.assert_allclose(found[0].numpy(), norm(inner, "layer1.0.bn3") + around, atol=1e-4)


def test_names_and_shapes_are_the_published_ones(added: Added) -> None:
    assert sum(int(np.prod(shape)) for name, shape in arcface_shapes() if "running" not in name) > 65_000_000
    own = {f"arcface.{name}": shape for name, shape in arcface_shapes()} | dict(regressor_shapes())
    assert {name: tuple(t.shape) for name, t in added.mica.network.state_dict().items()} == own
    assert "MICA's weights" in added.listed and str(mica_path()) in added.listed


def test_pictures_are_spread_over_the_frames_with_a_face_until_the_job_is_cancelled(tmp_path: Path) -> None:
    grey = [np.full((48, 64, 3), 20 + 12 * n, np.uint8) for n in range(12)]
    encode_evenly(tmp_path / "clip.mp4", grey, 25)
    valid = np.ones((12, 1), bool)
    valid[:3] = valid[10] = False
    mu = np.arange(12, dtype=np.float32)[:, None, None].repeat(2, axis=2)
    seen = PointSet.of("m", mu, np.ones((12, 1), np.float32), valid)
    opened = open_views(TrackJob((ViewSpec(str(tmp_path / "clip.mp4"), "camera"),)))[0]
    view = AlignedView(opened, ViewAlignment.of(seen, image_size=(64, 48)), np.arange(12))
    found = list(face_pictures(view, 3, lambda: False))
    assert [picture.point_sets[0].mu[0, 0, 0] for picture in found] == [3, 7, 11]  # of 3 … 9 and 11
    assert [round((picture.image.mean() - 20) / 12) for picture in found] == [3, 7, 11]
    assert len(list(face_pictures(view, 99, lambda: False))) == 8
    asked = iter([False] * 5)
    with pytest.raises(Cancelled):
        list(face_pictures(view, 3, lambda: next(asked, True)))


# --- crops ---


def test_the_template_is_insightfaces() -> None:
    assert np.array_equal(TEMPLATE[0], [38.2946, 51.6963]) and np.array_equal(TEMPLATE[4], [70.7299, 92.2041])
    assert TEMPLATE[2, 0] == 56.0252 and TEMPLATE[2, 1] == 71.7366 and (TEMPLATE[:2, 1] < 52).all()


def test_a_crop_shows_what_lies_under_the_template() -> None:
    """A picture that is an analytic function of crop coordinates, seen through a known similarity."""

    def shade(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        return 128 + 60 * np.sin(u / 11) + 50 * np.cos(v / 17 + u / 40)

    angle, scale, shift = 0.35, 2.5, np.array([60.0, 20.0])
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y, x = np.mgrid[:420, :420]
    u, v = np.einsum("ij,jhw->ihw", np.linalg.inv(matrix), np.stack([x - shift[0], y - shift[1]]))
    image = np.repeat(shade(u, v).round().astype(np.uint8)[:, :, None], 3, axis=2)
    image[:, :, 2] = 7
    crop = arcface_crop(image, TEMPLATE @ matrix.T + shift + 0.5)  # pixels count from the corner of the first one
    row, column = np.mgrid[:112, :112].astype(float)
    inside = cropped = slice(15, 100)
    np.testing.assert_allclose(crop[inside, cropped, 0], shade(column, row)[inside, cropped], atol=1.6)
    assert (crop[inside, cropped, 2] == 7).all()


def test_the_five_points_are_mediapipes_in_the_pictures_order() -> None:
    five = np.array([[50.0, 60], [90, 58], [70, 80], [55, 100], [88, 99]])
    np.testing.assert_allclose(five_points(small_head(), (seen_by_mediapipe(five),)), five, atol=1e-4)


def test_other_points_tell_the_five_as_well() -> None:
    """The dense points of an aligner that has none of MediaPipe's, under an affine view: what lies between is exact."""
    head = load_head()
    view = np.array([[900.0, 40, -100], [-30, -950, 60]])
    dense, named = head.landmarks["dense"], head.landmarks["mediapipe478"]

    def seen(points: SurfacePoints) -> NDArray[np.float64]:
        corners = head.template[head.triangles[points.triangle]].astype(np.float64)
        return np.einsum("nk,nkc->nc", points.barycentric, corners) @ view.T + [300, 200]

    mu = seen(dense).astype(np.float32)[None]
    given = PointSet.of("dense", mu, np.ones(mu.shape[:2], np.float32), np.ones(mu.shape[:2], bool), "flowface")
    where = seen(named)
    groups = ([33, 133, 159, 145], [362, 263, 386, 374], [1], [61], [291])
    found = five_points(head, (given,))
    np.testing.assert_allclose(found, [where[group].mean(axis=0) for group in groups], atol=0.02)
    assert found is not None and found[0, 0] < found[1, 0]
    hidden = dataclasses.replace(given, valid=np.zeros_like(given.valid))
    assert five_points(head, (hidden,)) is None


# --- refusals ---


def small_file(path: Path, change: Any = dict.copy) -> Path:
    """A checkpoint of the right names and shapes whose tensors are one number each, seen at every place."""
    one = torch.zeros(1)
    long = torch.zeros((), dtype=torch.long)

    def flat(shape: tuple[int, ...], name: str) -> Tensor:
        return long if name.endswith("num_batches_tracked") else one.expand(shape)

    checkpoint = {
        "arcface": {name: flat(shape, name) for name, shape in arcface_shapes()},
        "flameModel": {name: flat(shape, name) for name, shape in regressor_shapes()}
        | {f"generator.{name}": flat(shape, name) for name, shape in FLAME.items()},
    }
    change(checkpoint)
    return save(path, checkpoint)


def with_nan(checkpoint: dict[str, Any]) -> None:
    checkpoint["arcface"]["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    checkpoint["arcface"]["conv1.weight"][5, 1, 2, 0] = torch.nan


CASES = {
    "a tensor is missing": (lambda c: c["arcface"].pop("layer3.29.bn3.running_var"), "layer3.29.bn3.running_var"),
    "a part is missing": (lambda c: c.pop("flameModel"), "regressor.network.0.weight"),
    "another encoder": (lambda c: c["arcface"].update({"fc.weight": torch.zeros(512, 25)}), r"\(512, 25\), expected"),
    "FLAME of 100 shapes": (
        lambda c: c["flameModel"].update({"generator.shapedirs": torch.zeros(5023, 3, 1).expand(5023, 3, 150)}),
        r"\(5023, 3, 150\), expected \(5023, 3, 400\)",
    ),
    "one block more": (
        lambda c: c["arcface"].update({"layer4.3.bn1.weight": torch.zeros(512)}),
        "layer4.3.bn1.weight .* no such tensor",
    ),
    "a list for a tensor": (lambda c: c["arcface"].update({"fc.bias": [1.0]}), "fc.bias .* missing"),
    "not a number": (with_nan, "conv1.weight .* not finite"),
    "of whole numbers": (
        lambda c: c["arcface"].update({"conv1.weight": torch.zeros(64, 3, 3, 3, dtype=torch.long)}),
        "holds int64, expected float32",
    ),
    "every place the same number": (dict.copy, "conv1.weight .* row by row"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_another_build_is_refused_by_its_tensor(tmp_path: Path, case: str) -> None:
    change, says = CASES[case]
    path = small_file(tmp_path / "mica.tar", change)
    with pytest.raises(UserError, match=says) as caught:
        add_mica(path)
    assert (
        caught.value.code == "bad_checkpoint"
        and str(path) in caught.value.message
        and "install.sh" in caught.value.hint
    )


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    whole = small_file(tmp_path / "mica.tar").read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"v 0 0 0\n"}.items():
        path = tmp_path / f"{name}.tar"
        path.write_bytes(data)
        with pytest.raises(UserError, match="is not a MICA checkpoint file") as caught:
            add_mica(path)
        assert caught.value.code == "bad_file" and str(path) in caught.value.message
    with pytest.raises(UserError) as caught:
        add_mica(tmp_path / "gone.tar")
    assert caught.value.code == "file_missing"
    assert not mica_path().exists() and not list(mica_path().parent.glob(".*"))


def test_another_head_than_flame_is_refused(added: Added) -> None:
    shuffled = dataclasses.replace(flame_head(), template=np.random.default_rng(1).permutation(flame_head().template))
    with pytest.raises(UserError, match="vertices of FLAME"):
        MicaNeutral().require(small_head())
    with pytest.raises(UserError, match="vertices of FLAME") as caught:
        mica_neutrals(added.mica, shuffled, [picture(0.0)])
    assert caught.value.code == "other_topology" and "--head flame" in caught.value.hint


def test_pictures_without_a_face_are_refused(added: Added) -> None:
    with pytest.raises(UserError) as caught:
        mica_neutrals(added.mica, flame_head(), [FacePicture(np.zeros((9, 9, 3), np.uint8), ())])
    assert caught.value.code == "no_face"


def test_without_weights_the_sentence_tells_how_to_add_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(UserError, match="flowface head add-mica") as caught:
        MicaNeutral().require(flame_head())
    assert caught.value.code == "weights_missing"
    mica_path().parent.mkdir(parents=True)
    np.savez(mica_path(), **{"arcface.conv1.weight": np.zeros(3)})
    with pytest.raises(UserError, match=r"arcface\.conv1\.weight") as caught:
        load_mica()
    assert caught.value.code == "bad_weights"
