"""What a user should know of a take that was done with less memory than is usual."""

from __future__ import annotations

from backend.memory import at_once, is_scarce, may_use_graphics_card, smaller_steps


def smaller_warnings(frames: int) -> list[str]:
    """Sentences for the report of a take of so many frames; none where memory never ran out."""
    from backend.fitting.prepare import choose_device
    from backend.fitting.windows import WHOLE

    if not is_scarce():
        return []
    said = "Memory ran out before, so that the take was done with less of it, and more slowly"
    with smaller_steps(0):
        has_card = choose_device("auto").type == "cuda"
    if has_card and not may_use_graphics_card():
        said += ", on the CPU"
    if at_once(WHOLE) < frames <= WHOLE:
        said += f": {frames} frames were solved part by part, which differs a little from all at once"
    return [said + "."]
