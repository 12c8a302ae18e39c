"""Mapping files: presets and schema that come with the add-on, and files that users load and save."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import bpy
import pytest
from hatchling.builders.wheel import WheelBuilder

from blender_addon import build_extension
from blender_addon.retarget import files, properties, schema
from blender_addon.retarget.mapping import BadMapping, KeyLink, Mapping, Response
from blender_addon.retarget.matching import names

GOOD = {"format": "flowface-retarget-mapping", "version": 1}


def test_presets_say_no_wrong_side_and_drive_no_key_too_far() -> None:
    for family, preset in files.presets().items():
        assert len({(link.action, link.key) for link in preset.keys}) == len(preset.keys)
        driven: dict[str, float] = {}
        for link in preset.keys:
            reading = names.read(link.key)
            side = re.search("(Left|Right)$", link.action)
            if reading is not None and reading.side and side is not None and not reading.stem.startswith("look"):
                assert reading.side == side[1], (family, link)
            driven[link.key] = driven.get(link.key, 0.0) + link.response.gain
        assert max(driven.values(), default=0.0) <= 1.0, family


def test_the_schema_is_the_types() -> None:
    assert json.loads(schema.FILE.read_text(encoding="utf-8")) == schema.schema(), (
        "run python -m blender_addon.retarget.schema"
    )
    allowed = schema.schema()["properties"]["keys"]["items"]["properties"]
    for path in files.PRESETS.glob("*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        assert data.keys() <= schema.schema()["properties"].keys()
        for link in data.get("keys", ()):
            assert link.keys() <= allowed.keys() and link["action"] in allowed["action"]["enum"]
            assert link.get("response", {}).keys() <= allowed["response"]["properties"].keys()


def test_presets_and_schema_are_in_the_wheel_and_in_the_extension(tmp_path: Path, repo_root: Path) -> None:
    data = {path.relative_to(repo_root).as_posix() for path in [*files.PRESETS.glob("*.json"), schema.FILE]}
    assert len(data) > 10
    builder = WheelBuilder(str(repo_root))
    with builder.config.set_build_data({"artifacts": [], "force_include": {}}):
        packed = {file.distribution_path for file in builder.recurse_included_files()}
    assert data <= packed
    ignored = shutil.ignore_patterns(*build_extension.LEFT_OUT)
    shutil.copytree(repo_root / "blender_addon" / "retarget", tmp_path / "blender_addon" / "retarget", ignore=ignored)
    assert all((tmp_path / path).is_file() for path in data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe{}", "no text in UTF-8"),
        (b" " * (files.MAX_BYTES + 1), "longer than 1 MB"),
        (json.dumps({**GOOD, "keys": [{"action": "smile", "key": "a"}]}).encode(), "“smile”.*none of ARKit's 52"),
        (json.dumps({**GOOD, "eyes": [{"side": "up", "bone": "a"}]}).encode(), "left or right"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_gives_a_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadMapping, match=f"“some.json” .*{said}"):
        files.read(path)


@pytest.mark.usefixtures("addon")
def test_a_mapping_goes_through_a_file_from_one_character_to_another(tmp_path: Path) -> None:
    obj = bpy.data.objects.new("face", bpy.data.meshes.new("face"))
    bpy.context.scene.collection.objects.link(obj)
    held = getattr(bpy.context.scene, properties.NAME)
    target = held.targets.add()
    mapping = Mapping("Mine", (KeyLink("jawOpen", "öffnen", Response(gain=0.5, high=0.8)),), swap=True)
    properties.write_mapping(target, mapping)
    path = tmp_path / "mine"
    assert bpy.ops.flowface.retarget_mapping_save(filepath=str(path)) == {"FINISHED"}
    other = held.targets.add()
    other.object, held.active = obj, 1
    assert bpy.ops.flowface.retarget_mapping_load(filepath=str(tmp_path / "mine.json")) == {"FINISHED"}
    assert files.read(tmp_path / "mine.json") == mapping
    loaded = properties.mapping_of(other)
    assert loaded == properties.mapping_of(target)
    assert files.missing(mapping, obj) == ("öffnen",)
    (tmp_path / "mine.json").write_text("{}")
    assert bpy.ops.flowface.retarget_mapping_load(filepath=str(tmp_path / "mine.json")) == {"CANCELLED"}
    assert properties.mapping_of(other) == loaded
