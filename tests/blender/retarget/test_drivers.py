"""The expressions of drivers say what a mapping says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.retarget import drivers, evaluate
from blender_addon.retarget.mapping import KeyLink, Mapping, Response
from blender_addon.retarget.source import Place
from protocol.face_actions import ARKIT_ACTIONS

ACTIONS = (*ARKIT_ACTIONS[:3], "mouthSmileLeft", "mouthSmileRight")
numbers = st.floats(-9.0, 9.0, width=32)
bounds = st.tuples(numbers, numbers).map(sorted) | st.just((-10.0, 10.0))
responses = st.builds(lambda gain, offset, held: Response(gain, offset, *held), numbers, numbers, bounds)
links = st.lists(st.builds(KeyLink, st.sampled_from(ACTIONS), st.just("key"), responses), min_size=1, max_size=4)
weights = st.fixed_dictionaries({action: st.floats(-1.0, 1.0) for action in ACTIONS})


def worked_out(formula: drivers.Formula, values: dict[str, float]) -> float:
    """What Blender makes of a formula: its operators and functions mean what Python's do."""
    named = {f"ff{index}": values[variable.path] for index, variable in enumerate(formula.variables)}
    text = formula.expression or "+".join(named)
    return float(eval(text, {"min": min, "max": max}, named))


@given(links, weights, st.booleans(), st.sets(st.sampled_from(ACTIONS), min_size=1))
def test_a_driver_says_what_the_mapping_says(
    chosen: list[KeyLink], values: dict[str, float], swap: bool, there: set[str]
) -> None:
    mapping = Mapping(keys=tuple(chosen), swap=swap)
    formula = drivers.formula(chosen, mapping, {action: Place(None, action) for action in there})
    known = {action: np.array([values[action]]) for action in there}
    expected = evaluate.key_values(known, mapping)
    assert (formula is None) == (not expected)
    if formula is not None:
        assert len(formula.expression) <= drivers.LONGEST
        assert worked_out(formula, values) == pytest.approx(float(expected["key"][0]), abs=0.05, rel=1e-3)


def with_ranges(count: int) -> str:
    """The expression of a key that so many actions drive, each within a range of its own."""
    places = {action: Place(None, action) for action in ARKIT_ACTIONS}
    third = Response(1 / 3, 1 / 7, -1 / 9, 8 / 9)
    chosen = [KeyLink(action, "key", third) for action in ARKIT_ACTIONS[:count]]
    formula = drivers.formula(chosen, Mapping(keys=tuple(chosen)), places)
    return formula.expression if formula is not None else ""


def test_digits_are_left_out_only_where_an_expression_is_too_long() -> None:
    assert "0.3333333*ff0" in with_ranges(4)
    assert "0.333*ff0" in with_ranges(6)
    assert len(with_ranges(6)) <= drivers.LONGEST
    with pytest.raises(ValueError, match="too long"):
        with_ranges(20)


def test_what_needs_no_expression_has_none() -> None:
    places = {action: Place(None, action) for action in ARKIT_ACTIONS}
    chosen = [KeyLink("jawOpen", "key"), KeyLink("jawForward", "key")]
    formula = drivers.formula(chosen, Mapping(keys=tuple(chosen)), places)
    assert formula == drivers.Formula("", (places["jawOpen"], places["jawForward"]))
