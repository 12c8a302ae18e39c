"""How a character follows its actor, as it was last measured; kept with the scene for the panel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy

from .calibration.compared import Score

NO_CONTACT = -1.0


class FlowFaceScore(bpy.types.PropertyGroup):  # type: ignore[misc]
    """A ``Score``, by the measure's name."""

    slope: bpy.props.FloatProperty()  # type: ignore[valid-type]
    correlation: bpy.props.FloatProperty()  # type: ignore[valid-type]
    span: bpy.props.FloatProperty()  # type: ignore[valid-type]
    moves: bpy.props.BoolProperty()  # type: ignore[valid-type]
    contact: bpy.props.FloatProperty(default=NO_CONTACT)  # type: ignore[valid-type]


def write_scores(target: Any, scores: Iterable[Score]) -> None:
    """Keep the scores of a ``FlowFaceTarget``."""
    target.scores.clear()
    for score in scores:
        item = target.scores.add()
        item.name, item.slope, item.correlation = score.name, score.slope, score.correlation
        item.span, item.moves = score.span, score.moves
        item.contact = NO_CONTACT if score.contact is None else score.contact


def scores_of(target: Any) -> tuple[Score, ...]:
    """The scores of a ``FlowFaceTarget``; none before it was measured."""
    return tuple(
        Score(
            item.name,
            item.slope,
            item.correlation,
            item.span,
            item.moves,
            None if item.contact == NO_CONTACT else item.contact,
        )
        for item in target.scores
    )
