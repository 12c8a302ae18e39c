"""The layers of a LiteRT flatbuffer with their weights, for whoever builds on what such a network has learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layer:
    """``weight`` is of torch's shapes: (out,in,h,w), (channels,1,h,w), or (channels,) of a PReLU, which has no bias."""

    kind: Literal["convolution", "depthwise", "prelu"]
    weight: F32
    bias: F32 | None


def layers(content: bytes) -> list[Layer]:
    """Convolutions and PReLUs of a flatbuffer's first graph in the order of their running.

    Weights are given as float32 or stored as float16 and unpacked by an operator, as in MediaPipe's networks. Raises
    ValueError where ``content`` is no flatbuffer of LiteRT, or a layer's weights are not stored in either way.
    """
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ValueError("it is not a LiteRT (.tflite) file")
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # the reader follows offsets without checks: damaged bytes raise many unrelated types
        raise ValueError(f"its flatbuffer is damaged ({error})") from error
    weights = _Weights(model, schema)
    kinds = {
        schema.BuiltinOperator.CONV_2D: weights.convolution,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: weights.depthwise,
        schema.BuiltinOperator.PRELU: weights.prelu,
    }
    operators = [(weights.code(operator), operator.inputs) for operator in model.subgraphs[0].operators]
    return [kinds[code](inputs) for code, inputs in operators if code in kinds]


class _Weights:
    """Reads tensors that are stored in the file, through the operators that unpack them."""

    def __init__(self, model: Any, schema: Any) -> None:
        self._model, self._tensors = model, model.subgraphs[0].tensors
        self._types = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
        unpacking = schema.BuiltinOperator.DEQUANTIZE
        self._packed = {
            int(operator.outputs[0]): int(operator.inputs[0])
            for operator in model.subgraphs[0].operators
            if self.code(operator) == unpacking
        }

    def code(self, operator: Any) -> int:
        """The operator's number; files older than its 32 bits keep it in the deprecated field."""
        code = self._model.operatorCodes[operator.opcodeIndex]
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def convolution(self, inputs: Any) -> Layer:
        return Layer("convolution", self._read(inputs[1]).transpose(0, 3, 1, 2).copy(), self._read(inputs[2]))

    def depthwise(self, inputs: Any) -> Layer:
        return Layer("depthwise", self._read(inputs[1]).transpose(3, 0, 1, 2).copy(), self._read(inputs[2]))

    def prelu(self, inputs: Any) -> Layer:
        return Layer("prelu", self._read(inputs[1]).ravel(), None)

    def _read(self, index: Any) -> F32:
        tensor = self._tensors[self._packed.get(int(index), int(index))]
        data, kind = self._model.buffers[tensor.buffer].data, self._types.get(tensor.type)
        if data is None or kind is None:
            raise ValueError(f"the weights {tensor.name!r} are stored in a way that is not known here")
        values = np.asarray(data, np.uint8).view(kind).astype(np.float32)
        if values.size != np.prod(tensor.shape):
            raise ValueError(f"the weights {tensor.name!r} are incomplete")
        return values.reshape(tensor.shape)
