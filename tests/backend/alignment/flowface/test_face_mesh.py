"""The trunk of MediaPipe's landmark network in torch against LiteRT, which runs the network as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from safetensors.torch import save
from skimage.data import astronaut

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.encoder import SegformerEncoder
from backend.alignment.flowface.face_mesh import CHANNELS, FaceMeshTrunk
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.pretrained import take_encoder
from backend.alignment.landmarks.networks import network_bytes
from backend.errors import UserError
from tests.backend.alignment.flowface.small_networks import SMALL


def ends_of_stages(content: bytes) -> list[int]:
    """The tensors from which the next stage's maximum is taken."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    pooling = schema.BuiltinOperator.MAX_POOL_2D
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [int(o.inputs[0]) for o in model.subgraphs[0].operators if codes[o.opcodeIndex] == pooling]


def test_every_stage_says_what_litert_says() -> None:
    content = network_bytes()["face_mesh"]
    face = astronaut()[:256, 90:346].astype(np.float32)[None] / 255
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], face)
    interpreter.invoke()
    trunk = FaceMeshTrunk().eval()
    trunk.take_published()
    with torch.inference_mode():
        stages = trunk(torch.from_numpy(face).permute(0, 3, 1, 2))
    ends = ends_of_stages(content)
    assert len(ends) == len(stages) == len(CHANNELS)
    for end, stage in zip(ends, stages, strict=True):
        theirs = interpreter.get_tensor(end).transpose(0, 3, 1, 2)
        assert np.abs(theirs).max() > 1
        np.testing.assert_allclose(stage.numpy(), theirs, atol=2e-5, rtol=2e-6)


def test_a_file_of_another_network_is_a_sentence(tmp_path: Path) -> None:
    iris, text = tmp_path / "iris.tflite", tmp_path / "text.tflite"
    iris.write_bytes(network_bytes()["iris"])
    text.write_bytes(b"nothing of the kind")
    network = FlowFaceNetwork(NetworkConfig(**{**vars(SMALL), "encoder": "face_mesh"}))
    for path in (iris, text):
        with pytest.raises(UserError) as caught:
            take_encoder(network, path)
        assert caught.value.code == "bad_weights" and path.name in caught.value.message


def test_a_segformers_file_gives_its_stages_and_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = SegformerEncoder(SMALL).segformer.state_dict()
    path = tmp_path / "model.safetensors"
    path.write_bytes(save({f"segformer.{name}": value for name, value in theirs.items()} | {"head": torch.ones(3)}))
    network = FlowFaceNetwork(SMALL)
    take_encoder(network, path)
    assert isinstance(network.encoder, SegformerEncoder)
    for name, value in network.encoder.segformer.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    with pytest.raises(UserError, match="is of shape"):
        take_encoder(FlowFaceNetwork(NetworkConfig(**{**vars(SMALL), "encoder": "b1"})), path)


@pytest.mark.parametrize(("stages", "names"), [(0, set()), (1, {"stem", "activation", "stages.0"})])
def test_stages_stay_as_they_were_learnt(stages: int, names: set[str]) -> None:
    trunk = FaceMeshTrunk()
    trunk.freeze(stages)
    frozen = {name for name, value in trunk.named_parameters() if not value.requires_grad}
    wanted = {n for n, _ in trunk.named_parameters() if any(n.startswith(f"{part}.") for part in names)}
    assert frozen == wanted
