"""The FlowFace aligner's geometry, with networks whose answer is known: boxes, crops, looks, what is no face."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.flowface.aligner import FlowFaceAligner, FlowFaceOptions, mirrored_nu
from backend.alignment.flowface.crop import CropLayout
from backend.alignment.flowface.framing import alike, box_of, crop_of
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.plausible import Bounds, FaceShape
from backend.alignment.lids import with_lid_closure
from backend.head_model.dense_points import DENSE, EYE_POINTS, atlas_nu
from backend.head_model.library import load_head
from backend.head_model.model import JOINT_NAMES
from backend.observations import FaceBox, PointSet, ViewAlignment
from tests.backend.alignment.flowface.networks import SMALL, atlas_of, constant_network, flow_px

HEAD = load_head()
PLAIN = constant_network()
IMAGE = np.full((90, 120, 3), 128, np.uint8)
ANY_BOX = st.builds(
    lambda x, y, side, roll: FaceBox(x, y, side, side, 1.0, roll),
    st.floats(-20, 100),
    st.floats(-20, 80),
    st.floats(5, 90),
    st.floats(-3, 3),
)


def aligner(network: FlowFaceNetwork | None = None, **options: object) -> FlowFaceAligner:
    return FlowFaceAligner(network or PLAIN, HEAD, FlowFaceOptions(**options))  # type: ignore[arg-type]


def nu_in_crop() -> NDArray[np.float64]:
    """The dense points as the plain network sees them, crop pixels."""
    return atlas_nu(HEAD, HEAD.landmarks[DENSE]).astype(np.float64) * SMALL.image_size + flow_px()


def open_points(box: FaceBox) -> NDArray[np.float64]:
    """The open head's vertices as the plain network sees them, image pixels."""
    return crop_of(box, SMALL.image_size).points_to_image(atlas_of(HEAD.uv) * SMALL.image_size + flow_px())


def looks_of(network: FlowFaceNetwork) -> list[int]:
    """The sizes of the batches that the network is asked for, as they come."""
    sizes: list[int] = []
    network.encoder.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    return sizes


@settings(max_examples=12, deadline=None)
@given(ANY_BOX)
def test_with_a_known_flow_the_atlas_is_laid_over_the_crop(box: FaceBox) -> None:
    """Exactly, however the crop is turned and wherever it lies; and σ is that of the crop in image pixels."""
    (found,) = aligner().align([IMAGE], [box])
    assert found is not None
    crop = crop_of(box, SMALL.image_size)
    np.testing.assert_allclose(found.mu, crop.points_to_image(nu_in_crop()), atol=2e-3)
    cell = crop.side / SMALL.uv_size
    np.testing.assert_allclose(found.sigma, 0.3 * cell, rtol=0.2)
    assert [s.id.name for s in found.point_sets] == [DENSE]
    assert found.mu.dtype == found.sigma.dtype == np.float32


@settings(max_examples=12, deadline=None)
@given(ANY_BOX)
def test_the_returned_box_leads_to_the_crop_laid_around_the_answer(box: FaceBox) -> None:
    (found,) = aligner().align([IMAGE], [box])
    assert found is not None
    wanted = CropLayout.of(HEAD).crop(open_points(box), SMALL.image_size)
    led_to = crop_of(found.box, SMALL.image_size)
    np.testing.assert_allclose((led_to.x, led_to.y, led_to.side), (wanted.x, wanted.y, wanted.side), atol=2e-3)
    assert np.cos(led_to.roll - wanted.roll) == pytest.approx(1)


@given(ANY_BOX, st.floats(0, 1))
def test_boxes_and_crops_say_the_same(box: FaceBox, score: float) -> None:
    crop = crop_of(box, 64)
    again = crop_of(box_of(crop, score), 64)
    np.testing.assert_allclose(
        (again.x, again.y, again.side, again.roll), (crop.x, crop.y, crop.side, crop.roll), atol=1e-6
    )
    assert alike(crop, again)
    assert alike(crop, replace(crop, roll=crop.roll + 2 * np.pi))
    assert not alike(crop, replace(crop, x=crop.x + 0.1 * crop.side))
    assert not alike(crop, replace(crop, side=1.3 * crop.side))
    assert not alike(crop, replace(crop, roll=crop.roll + 0.5))


def test_a_face_that_is_where_the_box_says_costs_one_look_and_another_two() -> None:
    box = FaceBox(40, 30, 30, 30)
    near, far = constant_network(), constant_network(step=(0.9, 0.4))
    for network, expected in ((near, [1]), (far, [1, 1])):
        looks = looks_of(network)
        assert aligner(network).align([IMAGE], [box])[0] is not None
        assert looks == expected


def test_the_second_look_is_at_the_crop_that_the_first_told_of() -> None:
    box, step = FaceBox(40, 30, 30, 30, 1.0, 0.4), np.array((0.9, 0.4))
    (found,) = aligner(constant_network(step=(0.9, 0.4))).align([IMAGE], [box])
    assert found is not None
    shift = flow_px(tuple(step)) - flow_px()
    first = crop_of(box, SMALL.image_size)
    nu = atlas_of(HEAD.uv) * SMALL.image_size + flow_px()
    second = CropLayout.of(HEAD).crop(first.points_to_image(nu + shift), SMALL.image_size)
    np.testing.assert_allclose(found.mu, second.points_to_image(nu_in_crop() + shift), atol=5e-3)


def test_faces_are_looked_at_in_batches_and_each_gets_its_own_answer() -> None:
    boxes = [FaceBox(10.0 * i, 5.0 * i, 20.0 + i, 20.0 + i, 1.0, 0.1 * i) for i in range(5)]
    network = constant_network()
    looks = looks_of(network)
    several = aligner(network, batch=3).align([IMAGE] * 6, [*boxes[:2], None, *boxes[2:]])
    assert looks == [3, 2]
    assert several[2] is None
    single = [aligner(network).align([IMAGE], [box])[0] for box in boxes]
    for found, alone in zip([*several[:2], *several[3:]], single, strict=True):
        assert found is not None and alone is not None
        np.testing.assert_allclose(found.mu, alone.mu, atol=1e-3)


def test_averaged_with_its_mirror_image_a_symmetric_answer_stays_and_a_sideways_one_goes() -> None:
    box = FaceBox(40, 30, 30, 30, 1.0, 0.3)
    crop = crop_of(box, SMALL.image_size)
    (found,) = aligner(mirrored=True).align([IMAGE], [box])
    assert found is not None
    (sideways,) = aligner(constant_network(step=(0.1, 0.0)), mirrored=True).align([IMAGE], [box])
    assert sideways is not None
    skin = atlas_nu(HEAD, HEAD.landmarks[DENSE])[:, 1] < 0.85  # the eyeballs' islands do not mirror each other in place
    for answer in (found, sideways):
        np.testing.assert_allclose(answer.mu[skin], crop.points_to_image(nu_in_crop())[skin], atol=5e-3)


def test_the_mirrored_atlas_is_that_of_the_mirrored_head() -> None:
    nu = np.column_stack([HEAD.uv[:, 0], 1 - HEAD.uv[:, 1]]).astype(np.float64)
    for left, right in (("face", "face"), ("left_eyeball", "right_eyeball"), ("right_eyeball", "left_eyeball")):
        here = np.flatnonzero(HEAD.regions[left] & (HEAD.vertex_weight > 0.5))
        there = np.flatnonzero(HEAD.regions[right] & (HEAD.vertex_weight > 0.5))
        apart = np.linalg.norm(HEAD.template[here, None] * [-1, 1, 1] - HEAD.template[None, there], axis=2)
        np.testing.assert_allclose(mirrored_nu(nu[here], HEAD), nu[there[apart.argmin(axis=1)]], atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [constant_network(sigma_cells=3.0), constant_network(step=(6.0, 0.0))],
    ids=["uncertain", "far from where it looked"],
)
def test_what_is_no_face_is_none(network: FlowFaceNetwork) -> None:
    assert aligner(network).align([IMAGE], [FaceBox(40, 30, 30, 30)]) == [None]


def test_a_face_is_told_by_its_shape() -> None:
    face = HEAD.template[CropLayout.of(HEAD).face].astype(np.float64)
    shape, bound = FaceShape.of(face), Bounds().misfit
    upright = face[:, :2] * (1, -1) * 900 + 300
    turned = (face @ [[0.26, 0, -0.97], [0, 1, 0], [0.97, 0, 0.26]])[:, :2] * (1, -1) * 900 + 300
    person = (HEAD.neutral(np.full(10, 1.5)) + HEAD.expression_basis[:12:3].sum(axis=0))[CropLayout.of(HEAD).face]
    noise = np.random.default_rng(0).uniform(0, 100, upright.shape)
    assert shape.misfit(upright) < 0.02
    assert shape.misfit(turned) < 0.02
    assert shape.misfit(person[:, :2] * (1, -1) * 900) < bound
    assert shape.misfit(upright * (-1, 1)) > bound, "a mirrored face is none"
    assert shape.misfit(noise) > bound


def test_closed_lids_hide_the_eye() -> None:
    """The mean head, turned and nodding, as the network's points would show it; then its left lids meet."""
    lids, points = aligner().lids, HEAD.landmarks[DENSE]
    assert lids is not None

    def seen(shape: NDArray[np.float64]) -> ViewAlignment:
        turned = shape @ Rotation.from_euler("XY", [20, -15], degrees=True).as_matrix().T
        mu = (900 * turned[None, :, :2] + 300).astype(np.float32)
        told = PointSet(lids.id, mu, np.ones(mu.shape[:2], np.float32), np.ones(mu.shape[:2], bool))
        return with_lid_closure(ViewAlignment.of(told, image_size=(600, 600)), lids)

    opened, shut = seen(lids.shape), lids.shape.copy()
    shut[EYE_POINTS.index(386)] = shut[EYE_POINTS.index(374)]
    closed = seen(shut)
    assert (opened.lid_closure < 0.1).all() and opened.valid.all()
    assert closed.lid_closure[0, 0] == 1 and closed.lid_closure[0, 1] < 0.1
    weights = HEAD.skinning_weights[HEAD.triangles[points.triangle]][:, :, JOINT_NAMES.index("left_eye")]
    on_left_eye = (weights * points.barycentric).sum(axis=1) > 0.5
    assert on_left_eye.sum() > 20
    np.testing.assert_array_equal(closed.valid[0], ~on_left_eye)


@pytest.mark.slow
def test_the_network_runs_without_litert() -> None:
    """LiteRT stays behind its door: its wheels are not to be had everywhere (macOS on x86-64, Windows on ARM64)."""
    code = """
import sys
sys.modules["ai_edge_litert"] = None
import numpy as np
from backend.alignment.flowface.aligner import FlowFaceAligner
from backend.head_model.library import load_head
from backend.observations import FaceBox
from tests.backend.alignment.flowface.networks import constant_network
found = FlowFaceAligner(constant_network(), load_head()).align(
    [np.full((256, 256, 3), 90, np.uint8)], [FaceBox(60.0, 60.0, 120.0, 140.0)]
)
assert found[0] is not None and found[0].valid.any()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
