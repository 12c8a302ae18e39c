"""Options in Blender, from the fields that declare them: properties, rows and what is read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session, settings, solve_options
from protocol.codec import ProtocolError
from protocol.offers import AlignerInfo, WeightsInfo
from protocol.options import SolveOptions, option_fields
from tests.protocol.more_options import MoreOptions

pytestmark = pytest.mark.usefixtures("addon")


class Rows:
    """A layout that keeps what is drawn; Blender makes none outside a window."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def prop(self, data: Any, name: str, **_: Any) -> None:
        assert name in data.bl_rna.properties
        self.drawn.append(name)

    def label(self, *, text: str) -> None:
        self.drawn.append(text)

    def row(self, **_: Any) -> Rows:
        return self

    def operator_menu_enum(self, name: str, *_: Any, **__: Any) -> None:
        self.drawn.append(name)


def drawn(cls: type[SolveOptions], chosen: Any) -> list[str]:
    rows = Rows()
    solve_options.draw(rows, cls, chosen)
    return rows.drawn


@pytest.fixture
def more() -> Iterator[Any]:
    """A scene's settings with ``MoreOptions``."""

    class Declared:
        pass

    Declared.__annotations__ = solve_options.properties(MoreOptions)

    class MoreSettings(Declared, bpy.types.PropertyGroup):
        views: bpy.props.CollectionProperty(type=settings.FlowFaceView)
        aligner_id: bpy.props.StringProperty(default="mediapipe")

    bpy.utils.register_class(MoreSettings)
    bpy.types.Scene.more = bpy.props.PointerProperty(type=MoreSettings)
    yield bpy.context.scene.more
    del bpy.types.Scene.more
    bpy.utils.unregister_class(MoreSettings)


@pytest.mark.parametrize("item", option_fields(SolveOptions), ids=lambda item: item.name)
def test_every_option_of_a_solve_is_a_property_and_a_row(item: Any) -> None:
    chosen = settings.of(bpy.context.scene)
    session.current().aligners = (AlignerInfo("flowface", takes_weights=True),)
    chosen.aligner_id = "flowface"
    chosen.views.add()
    known = chosen.bl_rna.properties[item.name]
    assert known.name == item.about.label and known.description.startswith(item.about.help.rstrip("."))
    assert not known.description.endswith("."), "Blender ends tooltips itself"
    if item.optional and item.type in (float, int):
        assert {item.name, solve_options.LEFT_OPEN} & set(drawn(SolveOptions, chosen)) == {solve_options.LEFT_OPEN}
        setattr(chosen, f"use_{item.name}", True)
        assert item.name in drawn(SolveOptions, chosen)
        setattr(chosen, f"use_{item.name}", False)
    else:
        assert item.name in drawn(SolveOptions, chosen)
    assert solve_options.read(SolveOptions, chosen) == SolveOptions()


def test_rows_and_values_that_mean_nothing_are_left_out() -> None:
    chosen = settings.of(bpy.context.scene)
    chosen.weights = "/nets/mine.safetensors"
    assert "weights" not in drawn(SolveOptions, chosen)
    assert solve_options.read(SolveOptions, chosen) == SolveOptions()
    session.current().aligners = (AlignerInfo("mediapipe"), AlignerInfo("flowface", takes_weights=True))
    chosen.aligner = "flowface"
    assert "weights" in drawn(SolveOptions, chosen)
    assert solve_options.read(SolveOptions, chosen) == SolveOptions(weights="/nets/mine.safetensors")


def test_a_yes_or_no_may_be_left_open() -> None:
    chosen = settings.of(bpy.context.scene)
    assert chosen.match_skin == "AUTO" and solve_options.read(SolveOptions, chosen).match_skin is None
    for name, value in (("ON", True), ("OFF", False)):
        chosen.match_skin = name
        assert solve_options.read(SolveOptions, chosen) == SolveOptions(match_skin=value)
    items = chosen.bl_rna.properties["match_skin"].enum_items
    assert [(item.identifier, item.value) for item in items][:2] == [("OFF", 0), ("ON", 1)], "as files had a box for it"
    assert "as long as" in items["ON"].description, "what it costs"


def test_adapted_weights_are_offered_by_name_and_reach_the_job_by_it() -> None:
    chosen = settings.of(bpy.context.scene)
    session.current().aligners = (AlignerInfo("flowface", takes_weights=True),)
    chosen.aligner_id = "flowface"
    assert "flowface.use_weights" not in drawn(SolveOptions, chosen)
    session.current().weights = (WeightsInfo("ana-phone", "adapted to a.mp4"),)
    assert "flowface.use_weights" in drawn(SolveOptions, chosen)
    bpy.ops.flowface.use_weights(weights="ana-phone")
    assert chosen.weights == "ana-phone"
    assert solve_options.read(SolveOptions, chosen) == SolveOptions(weights="ana-phone")
    bpy.ops.flowface.use_weights(weights="-")
    assert solve_options.read(SolveOptions, chosen) == SolveOptions()


def test_weights_are_not_lost_while_the_backend_still_starts() -> None:
    """Of a file that was saved with the network's: nobody has said yet which aligners take weights."""
    chosen = settings.of(bpy.context.scene)
    chosen.aligner_id, chosen.weights = "flowface", "/nets/mine.safetensors"
    assert not session.current().aligners
    assert solve_options.read(SolveOptions, chosen) == SolveOptions(weights="/nets/mine.safetensors")


def test_a_new_option_of_every_kind_is_a_property_a_row_and_a_value(more: Any) -> None:
    assert solve_options.read(MoreOptions, more) == MoreOptions()
    names = {item.name for item in option_fields(MoreOptions)} - {"weights"}
    assert names - set(drawn(MoreOptions, more)) == {"focal_px", "seed"}, "these are left open"
    more.use_seed = more.use_focal_px = True
    assert names <= set(drawn(MoreOptions, more))
    assert more.bl_rna.properties["focal_px"].subtype == "PIXEL"
    more.use_focal_px = False
    more.smooth, more.passes, more.quick, more.notes, more.lens = 99.0, -4, True, "hi", "BROWN"
    more.use_seed, more.seed, more.mask = True, -7, str(Path("/m.png"))
    more.focal_px = 500.0
    made = solve_options.read(MoreOptions, more)
    bounded = MoreOptions(smooth=10.0, passes=1, quick=True, notes="hi", lens="brown", seed=-7, mask="/m.png")
    assert made == bounded, "Blender keeps numbers within their bounds, and an unticked focal length is solved for"


def test_what_blender_cannot_bound_is_refused_in_the_words_of_the_panel(more: Any) -> None:
    more.use_focal_px, more.focal_px = True, 0.0
    with pytest.raises(ProtocolError, match="“Focal Length” must be a number of pixels above 0"):
        solve_options.read(MoreOptions, more)
