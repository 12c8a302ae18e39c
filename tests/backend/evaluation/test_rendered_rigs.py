"""Several cameras before rendered people: pictures and truth agree, and the measure tells right from wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.datasets.splits import PEOPLES, People
from backend.evaluation.benchmark import RenderedRig, RigSpec, benchmark_head, benchmark_rigs, load_truth, render_rig
from backend.evaluation.rendered_rigs import true_rig
from backend.evaluation.rig import Rig, joint_record
from backend.evaluation.run import EvaluationOptions, evaluate
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.types import MeshSequence, SeveralViews
from backend.head_model.rasterise import rasterise

SPEC = RigSpec("dev", "makehuman", 0, 3, side=256)
F64 = NDArray[np.float64]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rigs")


@pytest.fixture(scope="module")
def rendered(cache: Path) -> RenderedRig:
    return render_rig(SPEC, benchmark_head("makehuman", Path()), cache)


@dataclass(frozen=True)
class Oracle(FlowFace):
    """A tracker that knows the truth and says it, its cameras turned or its mesh displaced as the test wants."""

    mesh: MeshSequence | None = None
    world_to_camera: F64 | None = None
    focal_px: F64 | None = None

    def track_views(self, stills: Sequence[Path], variant: str) -> SeveralViews:  # noqa: ARG002 - it needs no pictures
        assert self.mesh is not None and self.world_to_camera is not None and self.focal_px is not None
        return SeveralViews(self.mesh, self.world_to_camera, self.focal_px)


def oracle(rendered: RenderedRig, rig: Rig) -> Oracle:
    return Oracle(mesh=load_truth(rendered.truth), world_to_camera=rig.world_to_camera, focal_px=rig.focal_px)


def shades(rendered: RenderedRig, mesh: MeshSequence, camera: F64, view: int) -> tuple[F64, NDArray[np.bool_]]:
    """The grey level (V,) that a view shows at each vertex as seen by ``camera``, and which vertices it sees well."""
    there = mesh.vertices[0] @ camera[:, :3].T + camera[:, 3]
    pixels = there[:, :2] / there[:, 2:] * rendered.focal_px + mesh.principal_point
    grey = cv2.GaussianBlur(cv2.imread(str(rendered.stills[view]), cv2.IMREAD_GRAYSCALE), (0, 0), 1.0)
    sampled = cv2.remap(grey.astype(np.float32), pixels[:, None].astype(np.float32) - 0.5, None, cv2.INTER_LINEAR)
    seen = rasterise(
        there,
        mesh.triangles,
        focal_px=rendered.focal_px,
        principal_point=mesh.principal_point,
        image_size=mesh.image_size,
    )
    visible = np.zeros(len(there), bool)
    visible[mesh.triangles[np.unique(seen.triangle[seen.covered])]] = True
    return sampled[:, 0].astype(np.float64), visible & mesh.regions["face"]


@pytest.mark.parametrize("people", PEOPLES)
def test_every_camera_sees_the_true_face_in_the_same_light(people: People, cache: Path, request: object) -> None:
    data = Path() if people == "makehuman" else request.getfixturevalue("shared_data")  # type: ignore[attr-defined]
    spec = replace(SPEC, people=people)
    rendered = render_rig(spec, benchmark_head(people, data / "ict" / "ict_facekit.npz"), cache)
    mesh, cameras = load_truth(rendered.truth), rendered.world_to_camera
    frontal, seen = shades(rendered, mesh, cameras[0], 0)
    for view in range(1, len(cameras)):
        agreement = []
        for degrees in (0.0, 4.0):
            turned = Rotation.from_euler("Y", degrees, degrees=True).as_matrix() @ cameras[view]
            shade, also_seen = shades(rendered, mesh, turned, view)
            both = seen & also_seen
            assert both.sum() > 300
            agreement.append(np.corrcoef(frontal[both], shade[both])[0, 1])
        assert agreement[0] > 0.85
        assert agreement[1] < agreement[0] - 0.1


def test_cameras_stand_where_they_were_planned(rendered: RenderedRig) -> None:
    cameras = rendered.world_to_camera
    np.testing.assert_array_equal(cameras[0], np.eye(3, 4))
    place = -np.einsum("cji,cj->ci", cameras[:, :, :3], cameras[:, :, 3])
    assert place[1, 0] < -0.1 < 0.1 < place[2, 0]  # the subject's left is right in the picture
    assert (place[1:, 1] < -0.005).all()  # a little above


def test_the_same_rig_has_the_same_pictures(rendered: RenderedRig, tmp_path: Path) -> None:
    again = render_rig(SPEC, benchmark_head("makehuman", Path()), tmp_path)
    assert [still.read_bytes() for still in again.stills] == [still.read_bytes() for still in rendered.stills]


def test_the_truth_has_no_error_and_what_is_wrong_has(rendered: RenderedRig) -> None:
    rig = true_rig(rendered)
    knows = oracle(rendered, rig)
    right = joint_record(knows, rig, "")
    assert right["cd_mm"] < 1e-3 and right["views"] == 3
    assert max(right["camera_rotation_deg"]) < 1e-4 and max(right["camera_position_percent"]) < 1e-6
    assert right["focal_ratio"] == [1, 1, 1]

    turned = rig.world_to_camera.copy()
    turned[1] = Rotation.from_euler("Z", 3, degrees=True).as_matrix() @ turned[1]
    assert max(joint_record(replace(knows, world_to_camera=turned), rig, "")["camera_rotation_deg"]) > 1
    assert knows.mesh is not None
    flat = replace(knows.mesh, vertices=knows.mesh.vertices * np.float32([1, 1, 0.85]))
    assert joint_record(replace(knows, mesh=flat), rig, "")["cd_mm"] > 0.5
    with_longer_lenses = replace(knows, focal_px=rig.focal_px * 1.1)
    assert joint_record(with_longer_lenses, rig, "")["focal_ratio"] == pytest.approx([1.1] * 3)


def test_dev_and_test_film_different_people(shared_data: Path) -> None:
    people = {
        split: [
            benchmark_head(spec.people, shared_data / "ict" / "ict_facekit.npz").neutral(
                spec.sequence.identity(20 if spec.people == "makehuman" else 100)
            )
            for spec in benchmark_rigs(split)  # type: ignore[arg-type]
            if spec.cameras == 3
        ]
        for split in ("dev", "test")
    }
    assert len(people["dev"]) == len(people["test"]) == 4
    for mine in people["dev"]:
        for other in people["test"]:
            assert mine.shape != other.shape or np.abs(mine - other).max() > 1e-3


@pytest.mark.slow
def test_the_table_of_rigs_needs_no_data_from_elsewhere(tmp_path: Path, cache: Path) -> None:
    options = EvaluationOptions(
        out=tmp_path / "out",
        data=tmp_path,
        quick=True,
        split="dev",
        trackers=("flowface-mediapipe", "mediapipe-mesh"),
        benchmark_cache=cache,
        rigs_only=True,
    )
    results = evaluate(options)
    points, matched = results["rigs"]
    assert {r["tracker"] for r in results["rigs"]} == {"flowface-mediapipe"}
    assert 1 < max(points["camera_rotation_deg"]) < 10
    assert max(matched["camera_rotation_deg"]) < 0.3
    assert matched["cd_mm"] < 0.75 * points["cd_mm"]
    assert any("ICT-FaceKit" in sentence for sentence in results["skipped"])
    assert "Several cameras, rendered people" in (tmp_path / "out" / "tables.md").read_text()
