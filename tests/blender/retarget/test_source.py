"""What a source says of its actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blender_addon.retarget import source
from tests.blender.retarget import characters


def test_a_take_tells_the_weights_that_it_plays(shared_data: Path) -> None:
    curves = characters.apple_curves(shared_data)
    head = characters.performer(curves)
    read = source.weights(head, np.arange(1.0, 269.0))
    assert list(read) == sorted(curves)
    assert max(np.abs(read[action] - curves[action]).max() for action in curves) < 1e-6
    assert source.span(head) == (1.0, 268.0)
    assert source.take_of(head).name == "actor"


def test_any_object_with_properties_by_these_names_is_a_source(shared_data: Path) -> None:
    character = characters.facecap(shared_data)
    assert "jawOpen" in source.places(character)
    character["mouthSmileLeft"] = 0.25
    assert source.weights(character, np.array([3.0]))["mouthSmileLeft"] == [0.25]


def test_an_action_pushed_down_into_the_nla_is_played_still() -> None:
    head = characters.performer({"jawOpen": np.linspace(0.0, 1.0, 11)})
    animation = head.data.shape_keys.animation_data
    strip = animation.nla_tracks.new().strips.new("pushed down", 21, animation.action)
    animation.action = None
    assert source.span(head) == (21.0, 31.0)
    assert source.weights(head, np.array([26.0]))["jawOpen"] == pytest.approx(0.5)
    strip.mute = True
    assert source.span(head) is None
