"""``python -m backend.alignment.landmarks.convert TASK IRIS FAR``: make the file of landmark networks.

TASK is MediaPipe's Face Landmarker bundle (``face_landmarker.task``, a zip): of it come the face detector for near
faces, the 256² landmark network and the blendshape network. IRIS (``iris_landmark.tflite``) and FAR
(``face_detection_full_range_sparse.tflite``) lie in the wheel of mediapipe 0.10.21. Weights of 32 bits are stored as 16
and given back by operators before each run, as in the bundle's networks. Prints the SHA-256 that ``networks.py`` names.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import flatbuffers
import numpy as np
import typer
from ai_edge_litert import schema_py_generated as schema
from safetensors.numpy import save

from backend.alignment.landmarks.networks import NETWORKS
from backend.files import write_atomic

FORMAT = "flowface-landmark-networks-1"
_ORIGIN = (
    "MediaPipe, Copyright The MediaPipe Authors, Apache License 2.0; re-packed by backend.alignment.landmarks.convert"
)
_TASK = {
    "detector": "face_detector.tflite",
    "face_mesh": "face_landmarks_detector.tflite",
    "blendshapes": "face_blendshapes.tflite",
}


def convert(
    task: Annotated[Path, typer.Argument(help="face_landmarker.task")],
    iris: Annotated[Path, typer.Argument(help="iris_landmark.tflite")],
    far: Annotated[Path, typer.Argument(help="face_detection_full_range_sparse.tflite")],
    out: Annotated[Path, typer.Option(help="Where the networks go.")] = NETWORKS,
) -> None:
    """Write the landmark networks as one file."""
    with zipfile.ZipFile(task) as bundle:
        sources = {name: bundle.read(member) for name, member in _TASK.items()}
    sources |= {"iris": iris.read_bytes(), "far_detector": far.read_bytes()}
    networks = {name: np.frombuffer(with_half_weights(content), np.uint8) for name, content in sources.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sources.items()}
    about = {"format": FORMAT, "origin": _ORIGIN, "sources": digests}
    content = save(networks, {"about": json.dumps(about)})  # one key: several come in any order, and hash as they come
    write_atomic(out, content, public=True)
    print(f"{out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def with_half_weights(content: bytes) -> bytes:
    """The network with its dense weights of float32 stored as float16, each unpacked by an operator of its own."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    stored = {
        index: np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes()
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == schema.TensorType.FLOAT32 and tensor.sparsity is None and _has_data(model, tensor)
    }
    if not stored:
        return content
    code = len(model.operatorCodes)
    model.operatorCodes.append(_dequantize_code())
    operators = []
    for index, weights in stored.items():
        half = np.frombuffer(weights, np.float32).astype(np.float16)
        operators.append(_unpacking(model, graph, index, half, code))
    graph.operators = operators + graph.operators
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def with_outputs(content: bytes, shapes: Sequence[tuple[int, ...]]) -> bytes:
    """The network with more outputs, behind its own: the last tensor of each of ``shapes`` that an operator makes.

    Raises ValueError where there is none of a shape.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    unpacking = {i for i, code in enumerate(model.operatorCodes) if _is_dequantize(code)}  # which make weights
    made = [int(i) for operator in graph.operators if operator.opcodeIndex not in unpacking for i in operator.outputs]
    last = {tuple(int(n) for n in graph.tensors[index].shape): index for index in made}
    if missing := [shape for shape in shapes if shape not in last]:
        raise ValueError(f"the network makes nothing of the shape {missing[0]}")
    graph.outputs = [*(int(index) for index in graph.outputs), *(last[shape] for shape in shapes)]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _is_dequantize(code: Any) -> bool:
    number = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))  # older files keep it in the latter
    return number == schema.BuiltinOperator.DEQUANTIZE


def _dequantize_code() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first that takes float16
    return code


def _unpacking(model: Any, graph: Any, index: int, half: np.ndarray[Any, np.dtype[np.float16]], code: int) -> Any:
    """The operator that makes tensor ``index`` of ``half``, which takes over its buffer."""
    full = graph.tensors[index]
    packed = schema.TensorT()
    packed.name, packed.shape, packed.shapeSignature = full.name + b"_half", full.shape, full.shapeSignature
    packed.type, packed.buffer, packed.quantization = schema.TensorType.FLOAT16, len(model.buffers), full.quantization
    packed.hasRank = full.hasRank
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(half.tobytes(), np.uint8)
    model.buffers[full.buffer].data = None
    model.buffers.append(buffer)
    full.buffer = 0  # by the format's rule the empty one
    graph.tensors.append(packed)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [len(graph.tensors) - 1], [index]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


if __name__ == "__main__":
    typer.run(convert)
