"""A solve with more options than there are: what adding one, in one field each, must be enough for."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.option_fields import Choice, option
from protocol.options import SolveOptions


@dataclass(frozen=True)
class MoreOptions(SolveOptions):
    """One more option of every kind."""

    smooth: float = option(1.0, "Smoothness", "How much faster motion costs more.", minimum=0.0, maximum=10.0)
    passes: int = option(3, "Passes", "How often the solve is repeated.", minimum=1)
    seed: int | None = option(None, "Seed", "Where chance begins; without it, anywhere.")
    notes: str = option("", "Notes", "Words that go into the report.")
    mask: str | None = option(None, "Mask", "A picture of what to leave out.", path=True)
    quick: bool = option(False, "Quick", "Stop early.")
    lens: str = option(
        "pinhole",
        "Lens Model",
        "Which lens is solved for.",
        choices=(Choice("pinhole", "pinhole", "Pinhole"), Choice("brown", "brown", "Brown", "k1, k2 and p1, p2")),
    )
