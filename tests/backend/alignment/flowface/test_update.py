"""The recurrent update listens to each of its inputs (seeds/001 eq. 4)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.update import Update
from tests.backend.alignment.flowface.small_networks import SMALL

U = SMALL.uv_size
CORRELATIONS = SMALL.levels * (2 * SMALL.radius + 1) ** 2
INPUTS = {
    "correlations": CORRELATIONS,
    "context": SMALL.context,
    "flow": 2,
    "log_sigma": 1,
    "hidden": SMALL.hidden,
}


def _step(update: Update, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    rest = {name: value for name, value in given.items() if name != "context"}
    result: tuple[Tensor, Tensor, Tensor] = update(context=update.gru.of_context(given["context"]), **rest)
    return result


@pytest.mark.parametrize("name", list(INPUTS))
def test_each_input_moves_each_output(name: str) -> None:
    torch.manual_seed(0)
    update = Update(SMALL)
    given = {key: torch.rand(1, channels, U, U) for key, channels in INPUTS.items()}
    before = _step(update, given)
    after = _step(update, given | {name: given[name] + 0.5})
    for old, new in zip(before, after, strict=True):
        assert not torch.allclose(old, new, atol=1e-5)


def _gated(one_pass: nn.Module, hidden: Tensor, motion: Tensor, context: Tensor) -> Tensor:
    """A convolutional GRU as RAFT writes it: every gate and the candidate see (h, x, c) in one convolution."""
    parts = dict(one_pass.named_parameters())
    of_moving = (*parts["gates.weight"].chunk(2), parts["candidate.weight"])
    of_context, bias = parts["context.weight"].chunk(3), parts["context.bias"].chunk(3)
    padding = (of_context[0].shape[2] // 2, of_context[0].shape[3] // 2)

    def convolved(part: int, moving: Tensor) -> Tensor:
        weight = torch.cat([of_moving[part], of_context[part]], dim=1)
        return functional.conv2d(torch.cat([moving, motion, context], dim=1), weight, bias[part], padding=padding)

    z, r = torch.sigmoid(convolved(0, hidden)), torch.sigmoid(convolved(1, hidden))
    return (1 - z) * hidden + z * torch.tanh(convolved(2, r * hidden))


def test_the_gru_is_rafts_with_the_context_in_both_gates_and_in_the_candidate() -> None:
    torch.manual_seed(0)
    gru = Update(SMALL).gru
    context, hidden, motion = (torch.randn(2, n, U, U) for n in (SMALL.context, SMALL.hidden, SMALL.motion))
    expected = hidden
    for name in ("rows", "columns"):
        expected = _gated(gru.get_submodule(name), expected, motion, context)
    torch.testing.assert_close(gru(hidden, motion, gru.of_context(context)), expected, atol=1e-5, rtol=1e-4)


def test_uncertainty_head_is_the_flow_head_with_one_channel() -> None:
    update = Update(SMALL)
    flow = {name: tuple(p.shape) for name, p in update.flow_head.named_parameters()}
    uncertainty = {name: tuple(p.shape) for name, p in update.uncertainty_head.named_parameters()}
    assert flow["first.weight"] == uncertainty["first.weight"]
    assert (flow["second.weight"][0], uncertainty["second.weight"][0]) == (2, 1)


def test_hidden_state_stays_bounded() -> None:
    torch.manual_seed(0)
    update = Update(SMALL)
    given = {key: 10 * torch.randn(1, channels, U, U) for key, channels in INPUTS.items()}
    given["hidden"] = torch.tanh(given["hidden"])
    for _ in range(4):
        *_, given["hidden"] = _step(update, given)
    assert (given["hidden"].abs() <= 1).all()
