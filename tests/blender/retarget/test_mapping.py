"""Mappings: as files, and with a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.retarget import mapping as m
from blender_addon.retarget import properties

numbers = st.floats(-9.0, 9.0, width=32)
triples = st.tuples(numbers, numbers, numbers)
responses = st.builds(m.Response, numbers, numbers, numbers, numbers, st.booleans())
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
mappings = st.builds(
    m.Mapping,
    names,
    st.lists(st.builds(m.KeyLink, names, names, responses), max_size=4).map(tuple),
    st.lists(st.builds(m.BoneLink, names, names, triples, triples, triples, responses), max_size=4).map(tuple),
    st.lists(st.builds(m.EyeLink, st.sampled_from(["left", "right"]), names, st.booleans(), numbers), max_size=2).map(
        tuple
    ),
    st.builds(m.HeadLink, names, names, st.floats(0, 1, width=32), numbers, numbers),
    st.booleans(),
)


@given(mappings)
def test_a_mapping_comes_back_from_its_file(mapping: m.Mapping) -> None:
    assert m.from_text(m.to_text(mapping)) == mapping


def test_a_file_of_the_first_version_made_by_the_code_of_its_time_is_read() -> None:
    """Of commit 12de439, before mappings had a size."""
    response = m.Response(1.5, -0.25, 0.0, 1.0)
    file = Path(__file__).parent / "files" / f"mapping_{m.VERSION}.json"
    assert m.from_text(file.read_text("utf-8")) == m.Mapping(
        "hero",
        (m.KeyLink("jawOpen", "Mund auf", response), m.KeyLink("mouthSmileLeft", "smile_L", m.Response(mute=True))),
        (m.BoneLink("jawOpen", "jaw", (0.0, 0.5, 0.0), (0.25, 0.0, 0.0), (1.0, 1.0, 1.0), response),),
        (m.EyeLink("left", "eye.L", aims=True, gain=0.5), m.EyeLink("right", "eye.R")),
        m.HeadLink("head", "neck", 0.25, 1.0, 0.5),
        swap=True,
        size=0.0,
    )


@pytest.mark.usefixtures("addon")
def test_a_mapping_comes_back_from_a_scene() -> None:
    @given(mappings)
    def kept(mapping: m.Mapping) -> None:
        targets = getattr(bpy.context.scene, properties.NAME).targets
        targets.clear()
        target = targets.add()
        properties.write_mapping(target, mapping)
        assert properties.mapping_of(target) == mapping

    kept()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("{}", "“format”"),
        ('{"format": "flowface-retarget-mapping", "version": 9}', "version 9"),
        ('{"format": "flowface-retarget-mapping", "version": 1, "keys": [{"action": "jawOpen"}]}', "keys\\[0\\].key"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, said: str) -> None:
    with pytest.raises(m.BadMapping, match=said):
        m.from_text(text, "“x.json”")


def test_a_swap_turns_sides_and_unmapped_actions_are_told() -> None:
    link = m.KeyLink("mouthSmileLeft", "smile")
    mapping = m.Mapping(keys=(link, m.KeyLink("jawOpen", "open")))
    assert mapping.action_of(link) == "mouthSmileLeft"
    assert replace(mapping, swap=True).action_of(link) == "mouthSmileRight"
    assert len(mapping.unmapped()) == 50
    assert "jawOpen" not in mapping.unmapped()
