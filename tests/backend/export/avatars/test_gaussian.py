"""The export for GaussianAvatars, posed by smplx as GaussianAvatars poses FLAME, and projected as it projects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from smplx.lbs import lbs

from backend.errors import ErrorCode, UserError
from backend.export.avatars.flame import flame_parameters
from backend.export.registry import export_takes
from backend.export.takes import ExportTake
from backend.head_model.converters.flame import JAW_COLUMNS, jaw_coefficients
from backend.head_model.model import HeadModel
from backend.progress import never
from backend.track.geometry import seen_vertices
from tests.backend.export.avatars.scene import Scene, pinhole, read_json, read_picture

F64 = NDArray[np.float64]
JAW = (0.21, 0.05)
"""Radians by which the made head's jaw opens and shifts."""


def turned_jaw(head: HeadModel, opening: float, shift: float) -> F64:
    """Offsets (V,3) of FLAME's linear blend skinning, of the mean face."""
    poses = torch.zeros((1, 15), dtype=torch.float64)
    poses[0, 6:8] = torch.tensor([opening, shift])
    return skinned(head, torch.tensor(head.template, dtype=torch.float64)[None], poses) - head.template


def skinned(head: HeadModel, shaped: torch.Tensor, poses: torch.Tensor) -> F64:
    """Vertices (V,3) that smplx makes of a shaped head (1,V,3) and joints' axis-angles (1,15), without correctives."""
    vertices, _ = lbs(
        torch.zeros((1, 1), dtype=torch.float64),
        poses,
        shaped[0],
        torch.zeros((head.vertex_count, 3, 1), dtype=torch.float64),
        torch.zeros((36, 3 * head.vertex_count), dtype=torch.float64),
        torch.tensor(head.joint_regressor, dtype=torch.float64),
        torch.tensor(head.parents, dtype=torch.long),
        torch.tensor(head.skinning_weights, dtype=torch.float64),
    )
    return vertices[0].numpy()


@pytest.fixture(scope="module")
def made() -> HeadModel:
    """A head with FLAME's numbers: 5,023 points in the shape of a head's cloud, jaw columns as its converter makes."""
    rng = np.random.default_rng(5)
    place = rng.normal(size=(5023, 3)) * [0.06, 0.08, 0.07] + [0, 0.02, -0.03]
    weights = np.zeros((5023, 5))
    part = np.arange(5023)
    weights[part < 3500, 1], weights[(part >= 3500) & (part < 4500), 2] = 1, 1
    weights[(part >= 4500) & (part < 4760), 3], weights[part >= 4760, 4] = 1, 1
    regressor = np.zeros((5, 5023))
    for joint, rows in enumerate((range(40), range(50, 90), range(3500, 3540), range(4500, 4540), range(4760, 4800))):
        regressor[joint, list(rows)] = 1 / 40
    place[4500:4760] = rng.normal(size=(260, 3)) * 0.006 + [0.032, 0.03, 0.02]
    place[4760:] = rng.normal(size=(263, 3)) * 0.006 + [-0.032, 0.03, 0.02]
    expressions = 0.001 * rng.normal(size=(100, 5023, 3))
    shapes = 0.001 * rng.normal(size=(300, 5023, 3))
    expressions[:, 3500:] = shapes[:, 3500:4500] = 0  # eyes turn about where they rest, and the columns fit one jaw
    shapes[0, 3500:4500] = 0.1 * (place[3500:4500] - place[3500:3540].mean(axis=0))  # a jaw a tenth larger
    head = HeadModel(
        id="made",
        template=place.astype(np.float32),
        shape_basis=shapes.astype(np.float32),
        expression_basis=np.zeros((103, 5023, 3), np.float32),
        expression_names=(*(f"expression_{k:03d}" for k in range(100)), *JAW_COLUMNS),
        expression_bounds=np.tile(np.array([-np.inf, np.inf], np.float32), (103, 1)),
        triangles=rng.integers(0, 5023, (9976, 3)).astype(np.int32),
        uv=np.zeros((5023, 2), np.float32),
        uv_vertices=np.zeros((5023, 2), np.float32),
        uv_triangles=np.zeros((9976, 3), np.int32),
        joint_regressor=regressor.astype(np.float32),
        skinning_weights=weights.astype(np.float32),
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        regions={"left_eyeball": weights[:, 3] > 0, "right_eyeball": weights[:, 4] > 0},
        landmarks={},
        vertex_weight=np.ones(5023, np.float32),
        licence="made for a test",
        provenance={"file": "made.pkl"},
    )
    # the columns of this one jaw pose exactly: a third of the motion each, by the coefficients that it has
    moved = turned_jaw(head, *JAW)
    share = [moved / 3 / c for c in jaw_coefficients(*JAW)]
    basis = np.concatenate([expressions, share]).astype(np.float32)
    return replace(head, expression_basis=basis)


@pytest.fixture(scope="module")
def take(made: HeadModel, scene: Scene) -> ExportTake:
    """The rendered take's cameras and motion, tracked with FLAME."""
    rng = np.random.default_rng(6)
    old = scene.take.track
    expression = np.zeros((3, 103), np.float32)
    expression[:, :100] = 0.3 * rng.normal(size=(3, 100))
    expression[1, 100:] = jaw_coefficients(*JAW)
    identity = rng.normal(size=300).astype(np.float32)
    identity[0] = 0
    deformation = (0.0005 * rng.normal(size=(5023, 3))).astype(np.float32)
    deformation[3500:4500] = 0
    track = replace(
        old,
        head_id=made.id,
        head_hash=made.hash,
        identity=identity,
        deformation=deformation,
        expression=expression,
        expression_sigma=np.zeros((0, 103), np.float32),
        action_corrections=np.zeros((103, 0, 3), np.float16),
    )
    return ExportTake(track, made, scene.take.file)


@pytest.fixture(scope="module")
def exported(take: ExportTake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gaussian")
    export_takes([take], "gaussian_avatars", folder, lambda _: None, never)
    return folder


def posed_by(head: HeadModel, given: dict[str, NDArray[Any]]) -> F64:
    """Vertices (V,3) in the exported world, as GaussianAvatars' FlameHead makes them of its parameters."""
    shaped = head.template + np.einsum("k,kvc->vc", given["shape"].astype(float), head.shape_basis)
    shaped = shaped + np.einsum("k,kvc->vc", given["expr"][0].astype(float), head.expression_basis[:100])
    shaped = torch.tensor(shaped + given["static_offset"][0], dtype=torch.float64)[None]
    pose = np.concatenate([given[name] for name in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")], axis=1)
    return skinned(head, shaped, torch.tensor(pose, dtype=torch.float64)) + given["translation"]


def test_flame_posed_by_its_parameters_is_where_the_head_was(take: ExportTake, exported: Path) -> None:
    head, track = take.head, take.track
    frames = read_json(exported / "transforms.json")["frames"]
    for frame in (frames[0], frames[1], frames[4]):
        with np.load(exported / frame["flame_param_path"]) as archive:
            given = dict(archive)
        assert {name: values.shape for name, values in given.items()} == {
            "shape": (300,), "expr": (1, 100), "rotation": (1, 3), "neck_pose": (1, 3), "jaw_pose": (1, 3),
            "eyes_pose": (1, 6), "translation": (1, 3), "static_offset": (1, 5023, 3),
        }  # fmt: skip
        vertices = posed_by(head, given)
        # GaussianAvatars knows angles of view and no principal point: it is in the middle
        assert (frame["cx"], frame["cy"]) == (frame["w"] / 2, frame["h"] / 2)
        middle = frame | {"fl_x": frame["w"] / (2 * np.tan(frame["camera_angle_x"] / 2))}
        found = pinhole(vertices, middle, opengl=True)
        camera, step = track.cameras[frame["camera_index"]], frame["timestep_index"]
        wanted = seen_vertices(head, track, np.array([step]), view=frame["camera_index"])[0, :, :2]
        moved = np.array([frame["cx"], frame["cy"]]) - camera.principal_point
        error = np.abs(found - (wanted + moved)).max(axis=1)
        assert error.max() < 0.01
    assert frames[1]["timestep_index"] == 1
    with np.load(exported / "flame_param" / "00001.npz") as archive:
        np.testing.assert_allclose(archive["jaw_pose"][0], (*JAW, 0), atol=1e-4)


def test_pictures_are_centred_and_white_beyond_the_person(take: ExportTake, exported: Path) -> None:
    content = read_json(exported / "transforms.json")
    for frame in (content["frames"][0], content["frames"][3]):
        camera = take.track.cameras[frame["camera_index"]]
        picture, mask = read_picture(exported / frame["file_path"]), read_picture(exported / frame["fg_mask_path"])
        wanted = 2 * np.ceil(np.maximum(camera.principal_point, np.array([240, 200]) - camera.principal_point))
        assert (frame["w"], frame["h"]) == tuple(wanted) == picture.shape[1::-1] == mask.shape[::-1]
        assert (picture[mask == 0] == 255).all()
    # the first camera's picture is the track's own, moved by less than half a pixel beyond whole ones
    assert content["frames"][0]["h"] == 214 and content["frames"][0]["w"] == 250


def test_splits_are_vhaps(exported: Path) -> None:
    split = {part: read_json(exported / f"transforms_{part}.json") for part in ("train", "val", "test")}
    named = {
        part: [(frame["timestep_index"], frame["camera_index"]) for frame in content["frames"]]
        for part, content in split.items()
    }
    # seven tenths of three timesteps, rounded up, are all of them; the last camera is kept
    assert named == {"train": [(0, 0), (1, 0), (2, 0)], "val": [(0, 1), (2, 1)], "test": []}
    assert split["train"]["camera_indices"] == [0] and split["val"]["camera_indices"] == [1]
    with np.load(exported / "canonical_flame_param.npz") as rest:
        np.testing.assert_allclose(rest["jaw_pose"], [[0.3, 0, 0]], atol=1e-6)
        assert not rest["rotation"].any() and not rest["translation"].any() and rest["shape"].any()


def test_what_flame_lacks_is_measured(take: ExportTake, exported: Path) -> None:
    assert "within 0.0" in (exported / "README.txt").read_text()
    own = np.zeros((103, 5023, 3), np.float16)
    own[0, 7] = (0.0, 0.003, 0.0)
    changed = replace(take.track, action_corrections=own, expression=np.zeros((3, 103), np.float32))
    changed.expression[2, 0] = 2.0
    parameters = flame_parameters(replace(take, track=changed), np.arange(3))
    assert parameters.apart == pytest.approx(0.006, rel=0.01)  # 3 mm at strength 1, twice
    larger = take.track.identity.copy()
    larger[0] = 1
    wider = flame_parameters(replace(take, track=replace(take.track, identity=larger)), np.arange(3))
    arms = 0.1 * (take.head.template - take.head.joints(take.head.template)[2])[3500:4500]
    turn = Rotation.from_rotvec([*JAW, 0]).as_matrix() - np.eye(3)
    assert wider.apart == pytest.approx(np.linalg.norm(arms @ turn.T, axis=1).max(), rel=0.01)


def test_other_heads_are_refused_with_what_else_there_is(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        export_takes([scene.take], "gaussian_avatars", tmp_path, lambda _: None, never)
    assert raised.value.code == ErrorCode.OTHER_HEAD
    assert "“open”" in raised.value.message and "insta" in raised.value.hint
    assert not list(tmp_path.iterdir())
