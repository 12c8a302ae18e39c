"""What one test changes, the next does not find."""

from __future__ import annotations

from collections.abc import Callable

import addon_utils  # type: ignore[import-not-found]
import bpy
import pytest

from tests.blender.conftest import new_file, settings


def test_a_file_goes_and_factory_settings_stay() -> None:
    before = settings()
    assert len(before[0]) > 200 and "io_scene_gltf2" in before[1]
    bpy.data.meshes.new("left")
    bpy.context.scene.frame_end = 7
    new_file()
    assert settings() == before
    assert "left" not in bpy.data.meshes and bpy.context.scene.frame_end == 250 and not bpy.data.objects


def _undo_steps() -> None:
    bpy.context.preferences.edit.undo_steps = 7


def _enabled_for_now() -> None:
    addon_utils.enable("node_wrangler")


def _disabled() -> None:
    addon_utils.disable("io_scene_gltf2", default_set=True)


@pytest.mark.parametrize("change", [_undo_steps, _enabled_for_now, _disabled])
def test_what_a_test_sets_for_good_is_set_back(change: Callable[[], None]) -> None:
    before = settings()
    change()
    assert settings() != before
    new_file()
    assert settings() == before
