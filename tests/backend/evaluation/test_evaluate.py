"""The evaluation as a whole on one tiny rendered sequence: tables, JSON, plots, resuming, and that it ranks rightly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from backend.alignment.flowface.weights_file import save_weights
from backend.cli import app
from backend.errors import UserError
from backend.evaluation import run
from backend.evaluation.benchmark import SequenceSpec, Truth, benchmark_sequences, load_truth_full, render_sequences
from backend.evaluation.cli import parse_results, tracker_names
from backend.evaluation.measure import comparable
from backend.evaluation.progress_view import EvaluationView
from backend.evaluation.run import EvaluationOptions, evaluate
from backend.evaluation.store import Store
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.trackers.results_folder import save_meshes
from backend.evaluation.types import REGIONS
from backend.head_model.model import HeadModel
from tests.backend.alignment.flowface.networks import constant_network

FRAMES = 4
OURS = "flowface-mediapipe"
TRACKERS = EvaluationOptions(Path(), Path()).trackers


@pytest.fixture(scope="module")
def spec() -> SequenceSpec:
    return replace(benchmark_sequences("test", quick=True)[0], frame_count=FRAMES)


@pytest.fixture(scope="module")
def truth(spec: SequenceSpec, benchmark_cache: Path, shared_data: Path) -> Truth:
    (sequence,) = render_sequences([spec], shared_data / "ict" / "ict_facekit.npz", benchmark_cache)
    return load_truth_full(sequence.truth)


@pytest.fixture(scope="module")
def dropped_in(truth: Truth, spec: SequenceSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The truth itself, and the truth with two strengths of jitter, as other trackers' results."""
    folder = tmp_path_factory.mktemp("results")
    random = np.random.default_rng(5)
    shift = random.normal(size=(FRAMES, 1, 3)).astype(np.float32) * [1, 1, 0]
    bend = random.normal(size=truth.mesh.vertices.shape[1:]).astype(np.float32)
    for name, amount in (("truth", 0.0), ("jittered", 0.001), ("shaken", 0.004)):
        vertices = truth.mesh.vertices + np.float32(amount) * (shift + 0.5 * bend)
        moved = replace(truth.mesh, vertices=vertices.astype(np.float32))
        save_meshes(moved, folder / name / spec.name / "sequence")
    return {name: folder / name for name in ("truth", "jittered", "shaken")}


@pytest.fixture(scope="module")
def options(
    spec: SequenceSpec,
    benchmark_cache: Path,
    shared_data: Path,
    dropped_in: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> EvaluationOptions:
    return EvaluationOptions(
        out=tmp_path_factory.mktemp("evaluation"),
        data=shared_data,
        quick=True,
        trackers=("flowface", *TRACKERS),
        weights=weights(tmp_path_factory.mktemp("weights"), sigma_cells=0.3),
        results=dropped_in,
        benchmark_cache=benchmark_cache,
        specs=(spec,),
        rigs=False,
        real=False,
        command="flowface evaluate",
    )


def weights(folder: Path, sigma_cells: float) -> Path:
    """A network that only lays its atlas over the face: rows, σ and keeping apart are looked at, not its figures."""
    path = folder / "w.safetensors"
    save_weights(path, constant_network(sigma_cells=sigma_cells), {})
    return path


@pytest.fixture(scope="module")
def results(options: EvaluationOptions, registered_ict: HeadModel) -> dict[str, Any]:  # noqa: ARG001 - σ asks for it
    return evaluate(options)


def of(results: dict[str, Any], tracker: str, protocol: str = "sequence") -> dict[str, Any]:
    (found,) = [r for r in results["summary"] if (r["tracker"], r["protocol"]) == (tracker, protocol)]
    return found


def test_everything_promised_is_written(results: dict[str, Any], options: EvaluationOptions) -> None:
    assert json.loads((options.out / "results.json").read_text()) == results
    assert len(results["commit"]) == 40
    assert results["versions"]["torch"]
    text = (options.out / "tables.md").read_text()
    assert "`flowface evaluate`" in text
    assert f"| {OURS} |" in text
    plots = {"ssme_over_horizon", "cumulative_cd", "cumulative_nme_rendered", "heat_map_ssme", "heat_map_cd"}
    assert {path.stem for path in options.out.glob("*.png")} == plots | {"sigma_calibration"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in options.out.glob("*.png"))


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("protocol", ["single", "sequence"])
def test_trackers_have_figures(results: dict[str, Any], tracker: str, protocol: str) -> None:
    if (tracker, protocol) == ("mediapipe-mesh+gaussian", "single"):
        assert tracker not in [r["tracker"] for r in results["summary"] if r["protocol"] == "single"]
        return
    found = of(results, tracker, protocol)
    for region in REGIONS:
        if region == "ears" and tracker != OURS:
            assert found["ssme"][region] is found["cd_mm"][region] is None
        else:
            assert 0 < found["ssme"][region] < 50
            assert 0 < found["cd_mm"][region] < 20
    assert found["lost"] == 0
    assert found["stability"] > 1
    assert (found["cd_metrical_mm"]["face"] is not None) == (tracker == OURS)


def test_the_truth_is_perfect(results: dict[str, Any]) -> None:
    found = of(results, "truth")
    for region in REGIONS:
        # Image positions are single precision: about 1e-4 of a pixel.
        assert found["ssme"][region] == pytest.approx(0, abs=1e-3)
        assert found["cd_mm"][region] == pytest.approx(0, abs=1e-3)
    assert found["lip_error_mm"] == pytest.approx(0, abs=1e-2)
    assert found["focal_ratio_error_percent"] == pytest.approx(0, abs=1e-6)


def test_worse_trackers_rank_worse(results: dict[str, Any]) -> None:
    order = [of(results, name) for name in ("truth", "jittered", "shaken")]
    for figure in ("stability", "landmark_nme_percent"):
        values = [found[figure] for found in order]
        assert values == sorted(values)
        assert values[0] < values[1] < values[2]
    for field in ("ssme", "cd_mm"):
        face = [found[field]["face"] for found in order]
        assert face[0] < face[1] < face[2]


@pytest.fixture(scope="module")
def by_other_weights(
    results: dict[str, Any],  # noqa: ARG001 - what is kept is theirs
    options: EvaluationOptions,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Both aligners again, by other weights of the network, beside what is kept; OURS may not be asked again."""
    folder = tmp_path_factory.mktemp("again")
    again = replace(options, out=folder, trackers=("flowface", OURS), results={}, weights=weights(folder, 0.1))
    shutil.copytree(options.out / "runs", folder / "runs")

    def of_the_network_only(work: Callable[..., Any]) -> Callable[..., Any]:
        def asked(tracker: FlowFace, *given: Any, **named: Any) -> Any:
            assert tracker.name == "flowface", "a kept record was made again"
            return work(tracker, *given, **named)

        return asked

    with pytest.MonkeyPatch.context() as patch:
        for name in ("track", "observe"):
            patch.setattr(FlowFace, name, of_the_network_only(getattr(FlowFace, name)))
        return evaluate(again)


def test_what_was_measured_is_not_measured_again(by_other_weights: dict[str, Any], results: dict[str, Any]) -> None:
    for protocol in ("single", "sequence"):
        assert of(by_other_weights, OURS, protocol) == of(results, OURS, protocol)


def test_shapes_are_compared_on_the_outside_of_the_face(truth: Truth) -> None:
    shape = comparable(truth.mesh)
    assert truth.mesh.neutral is not None
    eyes = truth.mesh.neutral[truth.mesh.regions["eyes"]]
    kept = truth.mesh.neutral[shape.regions["eyes"]]
    assert 0 < len(kept) < len(eyes)
    assert kept[:, 2].min() > eyes[:, 2].min() + 0.005, "the backs of the eyeballs are still there"
    face = truth.mesh.neutral[shape.regions["face"]]
    assert np.ptp(face[:, 1]) < 0.165


def test_a_result_of_another_length_is_refused(truth: Truth, options: EvaluationOptions, tmp_path: Path) -> None:
    assert options.specs is not None
    short = replace(
        truth.mesh, vertices=truth.mesh.vertices[:3], focal_px=truth.mesh.focal_px[:3], tracked=truth.mesh.tracked[:3]
    )
    save_meshes(short, tmp_path / "short" / options.specs[0].name / "sequence")
    with pytest.raises(UserError, match="3 frames"):
        evaluate(replace(options, out=tmp_path / "out", trackers=(), results={"short": tmp_path / "short"}))


def test_without_data_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        evaluate(
            EvaluationOptions(
                out=tmp_path / "out", data=tmp_path / "nowhere", trackers=("mediapipe-mesh",), peoples=("ict",)
            )
        )
    assert caught.value.code == "nothing_to_evaluate"
    assert "nowhere" in caught.value.message


def test_an_unknown_tracker_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tracker “deca”"):
        evaluate(EvaluationOptions(out=tmp_path, data=tmp_path, trackers=("deca",)))


def test_rows_say_whose_points_are_fitted() -> None:
    assert tracker_names(["mediapipe"]) == TRACKERS == (OURS, "mediapipe-mesh", "mediapipe-mesh+gaussian")
    assert tracker_names(["flowface", "mediapipe"])[:2] == ("flowface", OURS)
    assert FlowFace(aligner="flowface", head_name="ict").name == "flowface-ict"
    assert FlowFace(head_name="ict").name == "flowface-mediapipe-ict"
    with pytest.raises(UserError, match="no aligner “dlib”"):
        tracker_names(["dlib"])


def test_without_weights_the_network_is_refused_at_once(tmp_path: Path) -> None:
    options = EvaluationOptions(tmp_path / "out", tmp_path, trackers=("flowface",), weights=tmp_path / "absent")
    with pytest.raises(UserError) as caught:
        evaluate(options)
    assert caught.value.code == "weights_missing"


@pytest.mark.slow
def test_both_aligners_in_one_run(
    results: dict[str, Any], by_other_weights: dict[str, Any], options: EvaluationOptions
) -> None:
    kept = {}
    for sigma, found in ((0.3, results), (0.1, by_other_weights)):
        assert {"flowface", OURS} <= {r["tracker"] for r in found["summary"]}
        kept[sigma] = {r["tracker"]: r for r in found["uncertainty"]}
    assert {r["tracker"] for r in by_other_weights["summary"]} == {"flowface", OURS}
    assert [kept[0.3][name]["aligner"] for name in ("flowface", OURS)] == ["flowface", "mediapipe"]
    assert kept[0.1][OURS] == kept[0.3][OURS]
    assert kept[0.1]["flowface"]["sigma_seen"] < 0.6 * kept[0.3]["flowface"]["sigma_seen"], "made anew by new weights"
    assert 0.3 < kept[0.3][OURS]["error_over_sigma"] < 3
    assert kept[0.3][OURS]["spearman"] > 0.1
    text = (options.out / "tables.md").read_text()
    assert "Calibration of the aligners' σ" in text and "| flowface | flowface |" in text


def test_calibration_is_left_out_where_it_is_not_wanted(options: EvaluationOptions, tmp_path: Path) -> None:
    unwanted = replace(options, uncertainty=False)
    with EvaluationView(Console(stderr=True)) as view:
        assert run._uncertainty(unwanted, Store(tmp_path, {}), [FlowFace()], view) == []


def test_results_are_named_once() -> None:
    assert parse_results(["a=/x/y=z"]) == {"a": Path("/x/y=z")}
    for wrong in (["a"], ["=b"], ["a=b", "a=c"]):
        with pytest.raises(UserError) as caught:
            parse_results(wrong)
        assert caught.value.code == "bad_results_option"


def test_the_command_is_there() -> None:
    shown = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "--quick" in shown.output
