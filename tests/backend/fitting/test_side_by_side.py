"""Work on several cores keeps its order, its errors and the calling thread's settings."""

from __future__ import annotations

import pytest
import torch

from backend.fitting.normal_equations import NormalEquations, solve
from backend.fitting.side_by_side import side_by_side


def test_results_come_in_order_and_torch_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    like = torch.zeros(())

    def squared(item: int) -> tuple[int, int]:
        return item * item, torch.get_num_threads()

    results = side_by_side(squared, range(20), like)
    assert [square for square, _ in results] == [item * item for item in range(20)]
    assert {threads for _, threads in results} == {1}
    assert torch.get_num_threads() == before


def test_an_error_of_a_piece_reaches_the_caller() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ZeroDivisionError
        return item

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, range(6), torch.zeros(()))


@pytest.mark.parametrize("frames", range(1, 10))
def test_elimination_from_both_ends_solves_takes_of_any_length(frames: int) -> None:
    torch.manual_seed(frames)
    shared_size, size = 3, 4
    equations = NormalEquations.zeros(frames, shared_size, size, torch.zeros((), dtype=torch.float64))
    for name in ("shared_gradient", "arrow", "frame_gradient", "next_frame", "after_next"):
        block = getattr(equations, name)
        block.copy_(torch.randn_like(block))
    noise = torch.randn(frames, size, size, dtype=torch.float64)
    equations.frame.copy_(noise @ noise.mT + 20 * torch.eye(size, dtype=torch.float64))
    equations.shared.copy_(40 * frames * torch.eye(shared_size, dtype=torch.float64))
    free = torch.rand(frames, size) > 0.2
    shared_free = torch.tensor([True, False, True])
    shared_step, step = solve(equations, free, shared_free, 0.0)
    matrix, gradient = equations.dense()
    moves = torch.cat([shared_free, free.flatten()])
    expected = torch.zeros_like(gradient)
    expected[moves] = -torch.linalg.solve(matrix[moves][:, moves], gradient[moves])
    assert torch.allclose(torch.cat([shared_step, step.flatten()]), expected, atol=1e-10)
