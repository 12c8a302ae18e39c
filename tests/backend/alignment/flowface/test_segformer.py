"""Our SegFormer against the one that its authors' weights are published for."""

from __future__ import annotations

import pytest
import torch

from backend.alignment.flowface.encoder import MIX_TRANSFORMERS
from backend.alignment.flowface.segformer import Segformer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["b0", "b2"])
def test_stages_say_what_those_of_transformers_say(name: str) -> None:
    from transformers import SegformerConfig, SegformerModel

    sizes = MIX_TRANSFORMERS[name]  # type: ignore[index]
    config = SegformerConfig(hidden_sizes=list(sizes.channels), depths=list(sizes.depths), drop_path_rate=0.0)
    theirs, ours = SegformerModel(config).eval(), Segformer(sizes.channels, sizes.depths).eval()
    theirs.set_attn_implementation("eager")
    with torch.no_grad():
        for parameter in theirs.parameters():  # scales of one and offsets of nought would hide what is left out
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter)))
        ours.load_state_dict(theirs.state_dict())
        seen = told = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
        for own, other in zip(ours.stages, theirs.stages, strict=True):
            seen, told = own(seen), other(told)
            assert seen.shape == told.shape and told.std() > 0.1
            assert torch.allclose(seen, told, atol=1e-5)


def test_a_network_begins_with_small_weights_and_no_offsets() -> None:
    """The spread that SegFormer's trainings began with; torch's own differs from layer to layer."""
    encoder = Segformer((32, 64, 160, 256), (2, 2, 2, 2))
    kernels = [p for name, p in encoder.named_parameters() if name.endswith("weight") and p.ndim > 1]
    assert all(abs(float(p.detach().std()) / 0.02 - 1) < 0.1 for p in kernels)
    assert all(not p.any() for name, p in encoder.named_parameters() if name.endswith("bias"))
