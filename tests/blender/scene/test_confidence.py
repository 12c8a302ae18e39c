"""The confidence of each frame: keyed, put in words, and found again; and ARKit's actions on heads without them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Annotated

import bpy
import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings as effort
from hypothesis import strategies as st
from numpy.typing import NDArray

from blender_addon import compat
from blender_addon.operators.next_low_confidence import FLOWFACE_OT_next_low_confidence
from blender_addon.scene import build, confidence
from blender_addon.scene.confidence import Confidence, Curve
from blender_addon.scene.ownership import ARMATURE, HEAD, camera_role, shown_views
from protocol.arrays import Property, shaped
from protocol.take import TakeResult

from ..takes import EXPRESSIONS, Shot, make_take
from .test_build import show

NOWHERE = np.float32(np.nan)
FRAMES_OF_ERROR = st.lists(st.sampled_from([-1.0, 0.5, 1.0, 2.0, 3.0]), max_size=40)
FRAMES = st.tuples(st.sampled_from([-1.0, 0.5, 1.0, 3.0]), st.sampled_from([None, 0.2, 0.5, 4.0]))


def make_known_take(views: int = 1) -> TakeResult:
    """Frames 1…12, of which 5 and 6 show no face; frame 9 is uncertain, frame 12 has a large error."""
    take = make_take(Shot())
    uncertainty = np.full(12, 0.6, np.float32)
    uncertainty[[4, 5]], uncertainty[8] = NOWHERE, 1.3
    error = take.reprojection_error_percent_iod.copy()
    error[11] = 1.7
    cameras = [
        replace(take.cameras[0], name=name, reprojection_error_percent_iod=np.full(12, 0.5 + index, np.float32))
        for index, name in enumerate(("camera", "left", "x" * 60)[:views])
    ]
    cameras[-1].reprojection_error_percent_iod[3] = NOWHERE
    return replace(take, cameras=tuple(cameras), uncertainty_mm=uncertainty, reprojection_error_percent_iod=error)


def known(collection: bpy.types.Collection) -> Confidence:
    found = confidence.confidence_of(collection)
    assert found is not None
    return found


def test_the_error_of_followed_skin_stands_beside_the_aligners() -> None:
    skin = np.linspace(0.2, 1.3, 12, dtype=np.float32)
    skin[6] = NOWHERE
    take = build.build_take(bpy.context, replace(make_known_take(), skin_error_percent_iod=skin))
    found = known(take)
    assert " % (good), 0.4 % of matched skin, uncertainty 0.6 mm" in found.sentence(3)
    assert "matched skin" not in found.sentence(7) and "matched skin" in found.sentence(8)
    assert "matched skin" not in known(build.build_take(bpy.context, make_known_take())).sentence(3)


def test_uncertainty_is_keyed_where_it_is_known() -> None:
    armature = build.build_take(bpy.context, make_known_take())[ARMATURE]
    curves = {curve.data_path: curve for curve in compat.action_curves(armature)}
    keys = [point.co.x for point in curves['["tracking_uncertainty"]'].keyframe_points]
    assert keys == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
    show(9)
    assert armature["tracking_uncertainty"] == pytest.approx(1.3)
    assert not any(path.startswith('["tracking_error ') for path in curves), "one view needs no error of its own"


def test_take_without_uncertainty_has_no_such_property() -> None:
    armature = build.build_take(bpy.context, make_take(Shot()))[ARMATURE]
    assert "tracking_uncertainty" not in armature and "tracking_error" in armature


def test_frame_is_told_in_words() -> None:
    now = known(build.build_take(bpy.context, make_known_take()))
    assert now.sentence(9) == "Frame 9: error 0.8 % (good), uncertainty 1.3 mm (good)"
    assert now.sentence(5) == "Frame 5: no face was found"
    assert now.sentence(57) == "Frame 57: outside the take"
    assert known(build.build_take(bpy.context, make_take(Shot()))).sentence(9) == "Frame 9: error 0.8 % (good)"


def test_the_head_at_rest_before_photographs_is_no_frame_without_a_face() -> None:
    """Of frame 2 there is a photograph, of frame 3 one that shows no face; of the others there is none."""
    take = make_take(Shot(frame_count=12))
    tracked = np.arange(12) == 1
    seen = [np.where(np.arange(12) == frame, 1, -1) for frame in (1, 2)]
    cameras = tuple(
        replace(take.cameras[0], name=f"photograph {index}", footage_frames=numbers)
        for index, numbers in enumerate(seen)
    )
    error = np.where(tracked, 0.8, np.nan).astype(np.float32)
    found = known(
        build.build_take(
            bpy.context, replace(take, cameras=cameras, tracked=tracked, reprojection_error_percent_iod=error)
        )
    )
    assert found.sentence(1) == "Frame 1: the head at rest, which no picture shows"
    assert found.sentence(2) == "Frame 2: error 0.8 % (good)"
    assert found.sentence(3) == "Frame 3: no face was found"
    assert found.low_confidence_ranges() == [(3.0, 3.0)]
    assert found.worst_frames(25.0) == [2.0]


def test_each_view_has_its_error_whatever_its_name() -> None:
    collection = build.build_take(bpy.context, make_known_take(views=3))
    views = known(collection).views
    assert [view.name for view, _ in views][:2] == ["camera", "left"]
    assert [curve.at(2) for _, curve in views] == pytest.approx([0.5, 1.5, 2.5])
    assert [curve.at(4) for _, curve in views] == [0.5, 1.5, None]
    assert [view.camera for view in shown_views(collection)] == [
        collection[camera_role(v)] for v in ("camera", "left", "x" * 60)
    ]
    show(2)
    assert collection[ARMATURE]["tracking_error left"] == pytest.approx(1.5)


def test_low_confidence_ranges_are_visited_in_turn() -> None:
    collection = build.build_take(bpy.context, make_known_take())
    assert known(collection).low_confidence_ranges() == [(5.0, 6.0), (9.0, 9.0), (12.0, 12.0)]
    import blender_addon

    blender_addon.register()
    try:
        scene = bpy.context.scene
        scene.frame_set(1)
        visited = []
        for backwards in (False, False, False, False, True, True):
            assert bpy.ops.flowface.next_low_confidence(backwards=backwards) == {"FINISHED"}
            visited.append(scene.frame_current)
        assert visited == [5, 9, 12, 5, 12, 9]
        properties = bpy.context.window_manager.operator_properties_last("flowface.next_low_confidence")
        for backwards, words in ((False, "Go to the next range"), (True, "Go to the previous range")):
            properties.backwards = backwards
            assert FLOWFACE_OT_next_low_confidence.description(bpy.context, properties).startswith(words)
        collection[ARMATURE].animation_data_clear()
        assert bpy.ops.flowface.next_low_confidence() == {"CANCELLED"}
    finally:
        blender_addon.unregister()


@pytest.mark.usefixtures("addon")
def test_worst_frames_are_visited_from_the_worst_on() -> None:
    """At 25 a second: of two peaks nearer than half a second the worse one; no lost frame, no slope of a peak."""
    take = make_take(Shot(frame_count=80))
    error = np.ones(80, np.float32)
    error[18:23] = 2, 3, 4, 3, 2
    error[0], error[27] = 1.5, 2.5  # the latter 7 frames after a worse one
    error[40:44] = 6  # on frames 41 to 44
    error[60] = 3
    lost = np.zeros(80, bool)
    lost[65:70] = True
    error[70] = 9  # behind a gap
    error[lost] = NOWHERE
    collection = build.build_take(bpy.context, replace(take, tracked=~lost, reprojection_error_percent_iod=error))
    scene, visited = bpy.context.scene, []
    assert scene.render.fps == 25
    scene.frame_set(3)
    for _ in range(6):
        assert bpy.ops.flowface.worst_frame() == {"FINISHED"}
        visited.append(scene.frame_current)
    assert visited[:5] == [71, 41, 21, 1, 71], visited
    scene.frame_set(22)
    bpy.ops.flowface.worst_frame()
    assert scene.frame_current == 71, "from elsewhere to the worst"
    collection[ARMATURE].animation_data_clear()
    assert bpy.ops.flowface.worst_frame() == {"CANCELLED"}


@effort(max_examples=200, deadline=None)
@examples(FRAMES_OF_ERROR, st.floats(1, 60))
def test_worst_frames_are_apart_and_the_worst_comes_first(errors: list[float], rate: float) -> None:
    frames, values = np.arange(1.0, 1 + len(errors)), np.array(errors)
    known_errors = dict(zip(frames.tolist(), errors, strict=True))
    worst = Confidence(Curve(frames, values), Curve(np.zeros(0), np.zeros(0)), ()).worst_frames(rate)
    tracked = values[values >= 0]
    assert bool(worst) == bool(len(tracked))
    found = [known_errors[frame] for frame in worst]
    assert found == sorted(found, reverse=True) and found[:1] == ([tracked.max()] if len(tracked) else [])
    assert all(abs(a - b) >= rate / 2 for a, b in itertools.combinations(worst, 2))


@effort(max_examples=200, deadline=None)
@examples(
    st.lists(st.tuples(st.sampled_from([-1.0, 0.5, 1.0, 3.0]), st.sampled_from([None, 0.2, 0.5, 4.0])), min_size=1)
)
def test_low_confidence_is_what_the_rule_says(frames: list[tuple[float, float | None]]) -> None:
    """Frame by frame against the rule in words, for any errors and uncertainties."""
    numbers = np.arange(10.0, 10 + len(frames))
    errors = np.array([error for error, _ in frames])
    some = np.array([value is not None for _, value in frames])
    values = np.array([value for _, value in frames if value is not None], float)
    found = Confidence(Curve(numbers, errors), Curve(numbers[some], values), ()).low_confidence_ranges()
    tracked = [(e, u) for e, u in frames if e >= 0]
    error_limit = 2 * np.median([e for e, _ in tracked]) if tracked else np.inf
    sure = [u for _, u in tracked if u is not None]
    limit = 2 * np.median(sure) if sure else np.inf
    expected = [e < 0 or e > error_limit or (u is not None and u > limit) for e, u in frames]
    marked = np.zeros(len(frames), bool)
    for first, last in found:
        marked[int(first) - 10 : int(last) - 9] = True
    assert marked.tolist() == expected
    assert all(first > last + 1 for (_, last), (first, _) in itertools.pairwise(found))


@dataclass(frozen=True, eq=False, kw_only=True)
class MoreKnown(TakeResult):
    """A take with one array more, declared to be shown."""

    blur: Annotated[
        NDArray[np.float32], shaped("T", finite=False, keyed=Property("motion_blur", "Pixels", lowest=-2.0))
    ]


def test_an_array_that_is_declared_to_be_shown_is_keyed_without_further_ado() -> None:
    blur = np.linspace(-1, 1, 12, dtype=np.float32)
    blur[2] = NOWHERE
    take = MoreKnown(**vars(make_take(Shot())), blur=blur)
    armature = build.build_take(bpy.context, take)[ARMATURE]
    (curve,) = (c for c in compat.action_curves(armature) if c.data_path == '["motion_blur"]')
    assert [point.co.x for point in curve.keyframe_points] == [1, 2, *range(4, 13)]
    facts = armature.id_properties_ui("motion_blur").as_dict()
    assert facts["description"] == "Pixels" and facts["min"] == -2.0
    show(1)
    assert armature["motion_blur"] == pytest.approx(-1)


def actions_of(values: NDArray) -> dict[str, object]:
    return {"action_names": ("jawOpen", "mouthPucker"), "actions": values.astype(np.float32)}


def test_actions_that_are_no_shape_keys_become_properties_that_drivers_can_read() -> None:
    weights = np.stack([np.linspace(0, 1, 12), np.linspace(0.9, 0.2, 12)], 1)
    take = replace(make_take(Shot()), **actions_of(weights))
    head = build.build_take(bpy.context, take)[HEAD]
    assert "jawOpen" in EXPRESSIONS and "jawOpen" not in head, "its shape key is it"
    facts = head.id_properties_ui("mouthPucker").as_dict()
    assert (facts["soft_min"], facts["soft_max"]) == (0.0, 1.0) and "mouthPucker" in facts["description"]
    (curve,) = compat.action_curves(head)
    assert curve.group.name == "ARKit"
    empty = bpy.data.objects.new("driven", None)
    bpy.context.scene.collection.objects.link(empty)
    driver = empty.driver_add("location", 0).driver
    driver.type, variable = "SUM", driver.variables.new()
    variable.targets[0].id, variable.targets[0].data_path = head, '["mouthPucker"]'
    show(take.scene_frames[7])
    assert empty.location.x == pytest.approx(weights[7, 1], abs=1e-6)
    again = build.build_take(bpy.context, take)[HEAD]
    show(take.scene_frames[4])
    assert variable.targets[0].id == again
    assert empty.location.x == pytest.approx(weights[4, 1], abs=1e-6)


def test_head_without_actions_gets_no_properties() -> None:
    head = build.build_take(bpy.context, make_take(Shot()))[HEAD]
    assert not list(head.keys()) and head.animation_data is None
