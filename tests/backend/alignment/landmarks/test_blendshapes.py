"""The blendshape network: what it says of a face, its mirror image and a turned picture."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from backend.alignment.landmarks.blendshapes import SUBSET, BlendshapeNetwork
from backend.alignment.landmarks.networks import Network, network_bytes
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]


def face(**actions: float) -> F64:
    """The open head's 478 points, seen from the front, in pixels."""
    head = load_head()
    vertices = head.template.astype(np.float64)
    for name, strength in actions.items():
        vertices = vertices + strength * head.expression_basis[head.expression_names.index(name)]
    points = surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices.astype(np.float32))
    return np.asarray(points[:, :2] * (2000, -2000) + (250, 250), np.float64)


@pytest.fixture(scope="module")
def network() -> BlendshapeNetwork:
    return BlendshapeNetwork(load_point_sigma().mirror)


def told(network: BlendshapeNetwork, points: F64) -> dict[str, float]:
    return dict(zip(ARKIT_ACTIONS, network([points])[0].tolist(), strict=True))


def test_an_action_is_told_by_its_name_and_side(network: BlendshapeNetwork) -> None:
    rest, blinking = told(network, face()), told(network, face(eyeBlinkLeft=1.0))
    opened = told(network, face(jawOpen=0.7))
    assert blinking["eyeBlinkLeft"] > rest["eyeBlinkLeft"] + 0.3
    assert abs(blinking["eyeBlinkRight"] - rest["eyeBlinkRight"]) < 0.1
    assert opened["jawOpen"] > rest["jawOpen"] + 0.3
    assert np.isnan(rest["tongueOut"]) and not any(np.isnan(v) for n, v in rest.items() if n != "tongueOut")


def test_a_mirror_image_swaps_the_sides(network: BlendshapeNetwork) -> None:
    points = face(mouthLeft=0.8, eyeBlinkLeft=0.7, mouthSmileRight=0.5)
    mirrored = points[load_point_sigma().mirror] * (-1, 1) + (500, 0)
    one, other = told(network, points), told(network, mirrored)
    for name in ("mouthLeft", "jawLeft", "eyeBlinkLeft", "mouthSmileLeft", "browDownLeft", "eyeLookInLeft"):
        opposite = name.removesuffix("Left") + "Right"
        assert one[name] == pytest.approx(other[opposite], abs=1e-4)
        assert one[opposite] == pytest.approx(other[name], abs=1e-4)
    assert one["jawOpen"] == pytest.approx(other["jawOpen"], abs=1e-4)


def test_place_size_and_turn_of_the_picture_do_not_matter(network: BlendshapeNetwork) -> None:
    points = face(jawOpen=0.5, browInnerUp=0.8)
    cos, sin = np.cos(0.7), np.sin(0.7)
    moved = points @ np.array([[cos, sin], [-sin, cos]]) * 3.0 + (40, -90)
    np.testing.assert_allclose(network([moved]), network([points]), atol=1e-4)
    assert network([]).shape == (0, len(ARKIT_ACTIONS))


def test_it_answers_as_the_network_it_was_converted_from(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "models" / "face_landmarker.task") as bundle:
        interpreter = Interpreter(model_content=bundle.read("face_blendshapes.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    shown = face(jawOpen=0.5)[list(SUBSET)].astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], shown[None])
    interpreter.invoke()
    (answer,) = Network(network_bytes()["blendshapes"], scale=1.0)([shown])
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(answer.ravel(), expected.ravel(), atol=1e-5)
