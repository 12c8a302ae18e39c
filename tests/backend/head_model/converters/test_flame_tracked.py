"""From a FLAME file to a track: the command registers it, the fit opens its jaw as smplx does, a photo is tracked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut
from skimage.io import imsave
from typer.testing import CliRunner

from backend.cli import app
from backend.fitting.fit import fit_take
from backend.fitting.types import FitOptions, KnownCamera, View
from backend.head_model import library
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.converters.flame import jaw_offsets
from backend.head_model.converters.flame_file import read_flame_file
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.track.io import load_track
from protocol.face_actions import ARKIT_ACTIONS
from tests.backend.fitting.observed import view_of
from tests.backend.head_model.flame_files import VERTICES, MadeFlame, chumpy_pickle, make_flame

pytestmark = pytest.mark.slow

run = CliRunner()


@cache
def made() -> MadeFlame:
    """Not while pytest collects: every process of a run does that."""
    return make_flame(jaw=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    path.write_bytes(chumpy_pickle(made().fields))
    return path


@pytest.fixture(scope="module")
def flame(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        result = run.invoke(app, ["head", "add", "flame", str(file)])
        assert result.exit_code == 0, result.output
        yield library.load_head("flame")


def test_the_command_registers_it_and_keeps_it(flame: HeadModel) -> None:
    """Its surface is the open head's of another person, so the correspondence is known: the same vertices."""
    assert flame.vertex_count == VERTICES and len(flame.shape_basis) == 300
    assert flame.expression_names[99:] == ("expression_099", "jaw_open", "jaw_arc", "jaw_left")
    assert flame.action_names == ARKIT_ACTIONS
    open_head = library.load_head("open")
    own = np.flatnonzero(np.diff(made().mapping.indptr) == 1)  # vertices that are vertices of the open head
    there = made().mapping[own].indices
    face = open_head.vertex_weight[there] > 0.5
    apart = np.linalg.norm(flame.uv[own[face]] - open_head.uv[there[face]], axis=1)
    assert np.median(apart) < 0.002 and np.percentile(apart, 95) < 0.01
    assert (flame.vertex_weight[own] > 0.5)[face].mean() > 0.97


def test_transferred_actions_match_those_it_was_made_from(flame: HeadModel) -> None:
    """The open head's actions, carried over by registration, against the same actions taken along with its vertices."""
    open_head = library.load_head("open")
    for name in ("mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "mouthPucker"):
        want = made().mapping @ open_head.expression_basis[open_head.expression_names.index(name)]
        found = flame.action_basis[flame.action_names.index(name)]
        face = flame.regions["face"]
        share = np.linalg.norm((found - want)[face]) / np.linalg.norm(want[face])
        assert share < 0.35, name  # another face's shape turns and scales them


def test_the_fit_opens_its_jaw_as_smplx_does(flame: HeadModel, file: Path) -> None:
    """Exact projections of a jaw that smplx turns to 0.4 rad: the fitted mouth opens as far, and jawOpen says so."""
    angles = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.4])
    truth = flame.template + jaw_offsets(read_flame_file(file), [(angle, 0.0) for angle in angles])
    points = flame.landmarks["mediapipe478"]
    seen = surface_positions(points, flame.triangles, truth) * [1, -1, -1] + [0.0, 0.0, 0.6]
    focal, size = 1200.0, (1000, 1000)
    mu = focal * seen[..., :2] / seen[..., 2:] + 500.0
    frames, count = mu.shape[:2]
    observed = view_of("mediapipe478", mu, np.full((frames, count), 0.7), np.ones((frames, count), bool), size)
    fit = fit_take(flame, [View(observed, KnownCamera(focal_px=focal))], FitOptions())
    fitted = posed_vertices(flame, flame.neutral(fit.identity), fit.expression, fit.gaze)
    lips = np.array([13, 14])  # MediaPipe's inner lips, upper and lower
    opened = [
        np.linalg.norm(np.diff(surface_positions(points, flame.triangles, head)[:, lips], axis=1)[:, 0], axis=1)
        for head in (truth, fitted)
    ]
    assert opened[0][4] > 0.03
    np.testing.assert_allclose(opened[1] - opened[1][0], opened[0] - opened[0][0], atol=0.003)
    jaw = solve_action_weights(flame, fit.expression, fit.gaze)[:, ARKIT_ACTIONS.index("jawOpen")]
    assert jaw[0] < 0.1 and np.all(np.diff(jaw[:4]) > 0.15) and jaw[4] > 0.9


def test_a_photograph_is_tracked_with_it(flame: HeadModel, tmp_path: Path) -> None:
    photo = tmp_path / "astronaut.png"
    imsave(photo, astronaut(), check_contrast=False)
    result = run.invoke(app, ["track", str(photo), "--head", "flame", "--out", str(tmp_path / "out"), "--no-blend"])
    assert result.exit_code == 0, result.output
    track = load_track(tmp_path / "out" / "track.npz")
    assert track.head_hash == flame.hash and track.expression.shape == (1, 103)
    assert track.action_names == ARKIT_ACTIONS and track.actions.shape == (1, 52)
    weights = dict(zip(ARKIT_ACTIONS, track.actions[0].tolist(), strict=True))
    assert min(weights["mouthSmileLeft"], weights["mouthSmileRight"]) > 0.2
    assert max(weights["eyeBlinkLeft"], weights["eyeBlinkRight"]) < 0.4
