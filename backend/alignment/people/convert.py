"""``python -m backend.alignment.people.convert SELFIE``: make the file of the network that finds people's outlines.

SELFIE (``selfie_segmentation.tflite``, 256²) lies in the wheel of mediapipe 0.10.21. Its last layer is an operator of
MediaPipe's own, which not every build of LiteRT runs: it becomes the built-in one that computes the same. Prints the
SHA-256 that ``outline.py`` names.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import flatbuffers
import numpy as np
import typer
from ai_edge_litert import schema_py_generated as schema
from safetensors.numpy import save

from backend.alignment.people.outline import NAME, NETWORK
from backend.files import write_atomic

_ORIGIN = (
    "MediaPipe, Copyright The MediaPipe Authors, Apache License 2.0; re-packed by backend.alignment.people.convert"
)
_OWN = b"Convolution2DTransposeBias"


def convert(
    selfie: Annotated[Path, typer.Argument(help="selfie_segmentation.tflite")],
    out: Annotated[Path, typer.Option(help="Where the network goes.")] = NETWORK,
) -> None:
    """Write the network as a file."""
    source = selfie.read_bytes()
    about = {"origin": _ORIGIN, "sources": {NAME: hashlib.sha256(source).hexdigest()}}
    content = save({NAME: np.frombuffer(with_built_in_operators(source), np.uint8)}, {"about": json.dumps(about)})
    write_atomic(out, content, public=True)
    print(f"{out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def with_built_in_operators(content: bytes) -> bytes:
    """The network with its transposed convolution of stride 2 (kernel as large) as LiteRT's own operator, with bias."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    code.version = 3  # the first with a bias
    model.operatorCodes.append(code)
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].customCode == _OWN:
            shown, kernel, bias = operator.inputs
            shape = _constant(model, graph, np.asarray(graph.tensors[operator.outputs[0]].shape, np.int32))
            operator.opcodeIndex = len(model.operatorCodes) - 1
            operator.inputs = [shape, kernel, shown, bias]
            operator.builtinOptionsType = schema.BuiltinOptions.TransposeConvOptions
            operator.builtinOptions = schema.TransposeConvOptionsT()
            operator.builtinOptions.strideW = operator.builtinOptions.strideH = 2
            operator.builtinOptions.padding = schema.Padding.VALID
            operator.customOptions = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _constant(model: Any, graph: Any, value: np.ndarray[Any, np.dtype[np.int32]]) -> int:
    """The number of a new tensor that holds ``value``."""
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(value.tobytes(), np.uint8)
    tensor.name, tensor.shape, tensor.type = b"output_shape", list(value.shape), schema.TensorType.INT32
    tensor.buffer, tensor.hasRank, tensor.quantization = len(model.buffers), True, schema.QuantizationParametersT()
    model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


if __name__ == "__main__":
    typer.run(convert)
