"""What bounds memory by doing few things at once does fewer where memory is scarce, within that job only."""

from __future__ import annotations

from backend.memory import at_once, is_scarce, may_use_graphics_card, smaller_steps


def test_each_step_halves_what_is_done_at_once() -> None:
    told = []
    for steps in (0, 1, 2):
        with smaller_steps(steps):
            told.append((at_once(600), at_once(1), is_scarce(), may_use_graphics_card()))
    assert told == [(600, 1, False, True), (300, 1, True, True), (150, 1, True, False)]
    assert not is_scarce()
