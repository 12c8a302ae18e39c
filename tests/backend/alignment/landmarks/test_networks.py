"""The file of networks, its converter, and LiteRT's answers from it."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from backend.alignment.landmarks.convert import with_half_weights
from backend.alignment.landmarks.networks import NETWORKS, SHA256, Network, network_bytes
from backend.errors import ErrorCode, UserError

F32 = NDArray[np.float32]


def answers(content: bytes, shown: F32) -> list[F32]:
    """What LiteRT's own interpreter says, operator by operator."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], shown)
    interpreter.invoke()
    return [interpreter.get_tensor(told["index"]) for told in interpreter.get_output_details()]


def adding(constant: F32) -> bytes:
    """A network that adds a constant of float32 to its input."""
    builder = flatbuffers.Builder(1024)
    buffers = [schema.BufferT() for _ in range(2)]
    buffers[1].data = np.frombuffer(constant.tobytes(), np.uint8)
    tensors = []
    for name, buffer in ((b"x", 0), (b"c", 1), (b"y", 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(constant.shape), buffer
        tensor.type = schema.TensorType.FLOAT32
        tensors.append(tensor)
    code, operator, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [operator]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def pictures(size: int, count: int = 3) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(7).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def test_weights_are_halved_and_given_back() -> None:
    constant = np.random.default_rng(1).normal(size=(1, 4, 4, 3)).astype(np.float32)
    content, shown = adding(constant), np.ones((1, 4, 4, 3), np.float32)
    (half,) = answers(with_half_weights(content), shown)
    np.testing.assert_array_equal(half, shown + constant.astype(np.float16))
    assert np.abs(half - answers(content, shown)[0]).max() > 0
    assert with_half_weights(with_half_weights(content)) == with_half_weights(content)


@pytest.mark.parametrize(
    ("name", "member"), [("detector", "face_detector.tflite"), ("face_mesh", "face_landmarks_detector.tflite")]
)
def test_networks_answer_as_those_they_were_converted_from(shared_data: Path, name: str, member: str) -> None:
    with zipfile.ZipFile(shared_data / "models" / "face_landmarker.task") as bundle:
        source = bundle.read(member)
    (picture,) = pictures(Network(network_bytes()[name]).size, 1)
    shown = picture[None].astype(np.float32) / 255
    ours = Network(network_bytes()[name])([picture])
    for one, other in zip(ours, answers(source, shown), strict=True):
        np.testing.assert_allclose(one.ravel(), other.ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["detector", "far_detector", "face_mesh", "iris"])
def test_a_picture_is_answered_alike_alone_and_among_others_on_any_lane(name: str) -> None:
    alone, lanes = Network(network_bytes()[name]), Network(network_bytes()[name], lanes=3)
    shown = pictures(alone.size, 5)
    together = lanes(shown)
    for index, picture in enumerate(shown):
        for one, many in zip(alone([picture]), together, strict=True):
            np.testing.assert_array_equal(one[0], many[index])
    lanes.close()


def test_a_network_that_fails_in_one_lane_says_so() -> None:
    network = Network(network_bytes()["iris"], lanes=2)
    with pytest.raises(ValueError, match="broadcast"):
        network([*pictures(network.size, 1), *pictures(network.size + 1, 1)])
    np.testing.assert_equal(len(network(pictures(network.size, 2))[0]), 2)
    network.close()


def test_only_the_very_file_is_read(tmp_path: Path) -> None:
    content = bytearray(NETWORKS.read_bytes())
    assert hashlib.sha256(content).hexdigest() == SHA256
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "networks.safetensors"
    damaged.write_bytes(content)
    for path in (damaged, tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(UserError) as caught:
            network_bytes(path)
        assert caught.value.code == ErrorCode.BAD_WEIGHTS
        assert str(path) in str(caught.value)
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match="damaged"):
        network_bytes(rubbish, hashlib.sha256(rubbish.read_bytes()).hexdigest())
