"""A take survives the wire exactly, and a take that would hurt Blender does not arrive."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.arrays import at_frames, declared
from protocol.codec import ProtocolError, decode, encode
from protocol.job import DistortionModel
from protocol.take import CameraTrack, HeadGeometry, TakeResult
from protocol.take_codec import take_from_wire, take_to_wire
from protocol.texture import MAX_TEXTURE_BYTES
from protocol.wrinkles import check_wrinkles
from tests.protocol.takes import png, small_take, spoilt, wrinkles


def over_the_wire(take: TakeResult) -> TakeResult:
    fields, arrays = take_to_wire(take)
    header, received = decode([bytes(frame) for frame in encode({"take": fields}, arrays)])
    return take_from_wire(header["take"], received)


def assert_same(a, b):
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for item in dataclasses.fields(a):
            assert_same(getattr(a, item.name), getattr(b, item.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, tuple):
        assert isinstance(b, tuple) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize(("frames", "cameras"), [(1, 1), (3, 1), (4, 3)])
def test_round_trip(frames, cameras):
    take = small_take(frames, cameras)
    assert_same(take, over_the_wire(take))


def test_further_heads_travel_along_and_an_older_client_builds_the_first():
    take, other = small_take(), dataclasses.replace(small_take(), name="other")
    both = dataclasses.replace(take, others=(other, other))
    assert_same(both, over_the_wire(both))
    fields, arrays = take_to_wire(both)
    del fields["others"]
    assert_same(take_from_wire(fields, arrays), take)
    with pytest.raises(ProtocolError, match="other1/take/gaze"):
        take_from_wire(take_to_wire(both)[0], {n: a for n, a in arrays.items() if n != "other1/take/gaze"})
    shorter = dataclasses.replace(take, others=(at_frames(other, slice(0, 2)),))
    with pytest.raises(ProtocolError, match=r"other0/take.*other frames"):
        over_the_wire(shorter)


def changed_head(**changes):
    take = small_take()
    return dataclasses.replace(take, head=dataclasses.replace(take.head, **changes))


def changed_camera(**changes):
    take = small_take()
    return dataclasses.replace(take, cameras=(dataclasses.replace(take.cameras[0], **changes),))


@pytest.mark.parametrize(
    ("take", "named"),
    [
        (changed_head(triangles=np.array([[0, 1, 5], [2, 3, 4]], np.int32)), "head/triangles"),
        (changed_head(triangles=np.array([[0, 1, -1], [2, 3, 4]], np.int32)), "head/triangles"),
        (changed_head(uv_triangles=np.array([[0, 1, 6], [2, 3, 4]], np.int32)), "head/uv_triangles"),
        (changed_head(triangle_part=np.array([0, 2], np.int32)), "head/triangle_part"),
        (changed_head(joint_parents=np.array([-1, 0, 4, 1, 1], np.int32)), "head/joint_parents"),
        (changed_head(expression_names=("only one",)), "head/expression_deltas"),
        (changed_head(neutral=np.full((5, 3), np.nan, np.float32)), "head/neutral"),
        (changed_camera(focal_px=np.ones(4)), "camera0/focal_px"),
        (changed_camera(image_size=(0, 640)), "picture size"),
        (changed_camera(footage_rotation=45), "rotation"),
        (changed_camera(reprojection_error_percent_iod=np.ones(2, np.float32)), "camera0/reprojection_error"),
        (changed_camera(footage_frames=np.ones(2, np.int64)), "camera0/footage_frames"),
        (changed_camera(distortion=(0.1, 0.2)), "lens"),
        (changed_camera(distortion_model=DistortionModel.FISHEYE), "lens"),
        (changed_camera(focal_ratio=0.0), "lens"),
        (dataclasses.replace(small_take(), action_names=("jawOpen",)), "take/actions"),
        (dataclasses.replace(small_take(), actions=np.full((3, 3), np.nan, np.float32)), "take/actions"),
        (dataclasses.replace(small_take(), uncertainty_mm=np.ones(4, np.float32)), "take/uncertainty_mm"),
        (dataclasses.replace(small_take(), cameras=()), "camera"),
        (dataclasses.replace(small_take(), frame_rate=0.0), "frame_rate"),
        (dataclasses.replace(small_take(), head_rotation=np.zeros((3, 4))), "take/head_rotation"),
    ],
)
def test_a_take_that_contradicts_itself_is_refused_by_name(take, named):
    with pytest.raises(ProtocolError, match=named):
        take_to_wire(take)


def test_a_damaged_take_is_refused_on_arrival():
    fields, arrays = take_to_wire(small_take())
    wrong_type = arrays | {"head/neutral": arrays["head/neutral"].astype(np.float64)}
    outside = arrays | {"head/triangles": arrays["head/triangles"] + 99}
    beyond = arrays | {"take/landmark_vertices": arrays["take/landmark_vertices"] + 1}
    missing = {name: array for name, array in arrays.items() if name != "take/gaze"}
    damages = ((wrong_type, "head/neutral"), (outside, "head/triangles"), (missing, "take/gaze"))
    for damaged, named in (*damages, (beyond, "take/landmark_vertices")):
        with pytest.raises(ProtocolError, match=named):
            take_from_wire(fields, damaged)
    for header in (None, {}, fields | {"cameras": [3]}, fields | {"name": 4}, fields | {"head": None}):
        with pytest.raises(ProtocolError):
            take_from_wire(header, arrays)


EVERY_ARRAY = [
    (prefix, array)
    for prefix, cls in (("head/", HeadGeometry), ("camera1/", CameraTrack), ("take/", TakeResult))
    for array in declared(cls).values()
]


@pytest.mark.parametrize(("prefix", "array"), EVERY_ARRAY, ids=[prefix + array.name for prefix, array in EVERY_ARRAY])
def test_no_array_arrives_otherwise_than_declared(prefix, array):
    """Each array there is, each way to be wrong: a new array is held to its declaration from its first line on."""
    fields, arrays = take_to_wire(small_take(frames=4, cameras=2))
    name = prefix + array.name
    for what, wrong in spoilt(array, arrays[name], free="U Q B").items():
        # Of arrays that contradict each other's size, the one that comes second is named.
        with pytest.raises(ProtocolError, match="has shape" if what.startswith("size") else f"“{name}” ") as caught:
            take_from_wire(fields, arrays | {name: wrong})
        assert caught.value.code == "bad_take"


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6).map(np.array))
def test_frames_of_a_take_are_a_take(frames):
    take = small_take(frames=4, cameras=2)
    some = over_the_wire(at_frames(take, frames))
    for name, array in declared(TakeResult).items():
        whole = getattr(take, name)
        np.testing.assert_array_equal(getattr(some, name), whole[frames] if array.shape[0] == "T" else whole)
    np.testing.assert_array_equal(some.cameras[1].world_to_camera, take.cameras[1].world_to_camera[frames])
    np.testing.assert_array_equal(some.cameras[1].principal_point, take.cameras[1].principal_point)
    np.testing.assert_array_equal(some.head.expression_deltas, take.head.expression_deltas)


def test_a_take_from_before_actions_and_uncertainty_still_arrives():
    fields, arrays = take_to_wire(small_take(frames=4, cameras=2))
    new = ("actions", "uncertainty_mm", "footage_frames", "camera0/reprojection", "camera1/reprojection")
    arrays = {name: array for name, array in arrays.items() if not any(part in name for part in new)}
    fields = {name: value for name, value in fields.items() if name != "action_names"}
    take = take_from_wire(fields, arrays)
    assert take.action_names == () and take.actions.shape == (4, 0)
    assert take.uncertainty_mm.shape == (4,) and np.isnan(take.uncertainty_mm).all()
    for camera in take.cameras:
        assert np.isnan(camera.reprojection_error_percent_iod).all() and (camera.footage_frames == -1).all()
        assert camera.reprojection_error_percent_iod.shape == camera.footage_frames.shape == (4,)
    # Names without weights, or weights without names, are a contradiction and no older backend.
    fields, arrays = take_to_wire(small_take())
    del arrays["take/actions"]
    with pytest.raises(ProtocolError, match="take/actions"):
        take_from_wire(fields, arrays)


@pytest.mark.parametrize(
    ("texture", "says"),
    [
        (np.frombuffer(b"GIF89a" * 9, np.uint8), "no PNG"),
        (png()[:20], "0 pixels"),
        (png(0, 5), "0 × 5"),
        (png(4, 1 << 20), "1048576"),
        (np.zeros(MAX_TEXTURE_BYTES + 1, np.uint8), "too large"),
    ],
    ids=["another kind", "cut off", "empty", "huge", "long"],
)
def test_a_texture_that_would_take_all_memory_is_refused(texture, says):
    fields, arrays = take_to_wire(small_take())
    with pytest.raises(ProtocolError, match=says) as caught:
        take_from_wire(fields, arrays | {"take/texture": texture})
    assert caught.value.code == "bad_take"
    del arrays["take/texture"]
    assert take_from_wire(fields, arrays).texture.shape == (0,), "older backends have none"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda maps: maps[:, :, :4], "has shape"),
        (lambda maps: maps[:3], "has shape"),
        (lambda maps: maps + np.float16([[[0.06]], [[0]], [[0]], [[0]]]), "deeper"),
        (lambda maps: maps - np.float16([[[0]], [[0]], [[0]], [[0.25]]]), "seen by"),
    ],
    ids=["not square", "one short", "deep", "seen"],
)
def test_wrinkles_that_may_not_be_are_refused(wrong, says):
    fields, arrays = take_to_wire(small_take())
    with pytest.raises(ProtocolError, match=says) as caught:
        take_from_wire(fields, arrays | {"take/wrinkles": wrong(arrays["take/wrinkles"])})
    assert caught.value.code == "bad_take" and "take/wrinkles" in str(caught.value)


def test_wrinkles_larger_than_may_be_are_refused_before_anything_is_made_of_them():
    with pytest.raises(ProtocolError, match="S ≤ 4096"):
        check_wrinkles(np.broadcast_to(np.float16(0), (4, 4097, 4097)))


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_wrinkles_arrive_bit_by_bit_for_each_head(side, seed):
    random = np.random.default_rng(seed)
    one, two = (dataclasses.replace(small_take(), wrinkles=wrinkles(random, size)) for size in (side, 3))
    there = over_the_wire(dataclasses.replace(one, others=(two,)))
    assert there.wrinkles.shape == (4, side, side) and there.wrinkles.dtype == np.float16
    np.testing.assert_array_equal(there.wrinkles, one.wrinkles)
    np.testing.assert_array_equal(there.others[0].wrinkles, two.wrinkles)


def test_an_older_backend_has_no_wrinkles_and_an_older_client_ignores_them():
    fields, arrays = take_to_wire(small_take())
    assert "wrinkles" not in fields, "an older client knows no such field"
    del arrays["take/wrinkles"]
    assert take_from_wire(fields, arrays).wrinkles.shape == (4, 0, 0)


def test_a_report_with_something_unknown_is_not_sent():
    with pytest.raises(ProtocolError, match="ndarray"):
        take_to_wire(dataclasses.replace(small_take(), report={"a": np.zeros(2)}))


def test_a_head_from_before_quads_and_brows_still_arrives():
    fields, arrays = take_to_wire(small_take())
    arrays = {name: array for name, array in arrays.items() if name not in ("head/quads", "head/light", "head/lips")}
    head = {name: value for name, value in fields["head"].items() if name != "own_vertices"}
    fields = {name: value for name, value in fields.items() if name != "iris_color"} | {"head": head}
    take = take_from_wire(fields, arrays)
    assert take.head.quads.shape == (0, 2) and take.head.own_vertices == 0 and take.iris_color == ()
    assert take.head.light.tolist() == [1] * 5 and take.head.lips.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("quads", "own", "iris", "says"),
    [
        ([[0, 2]], 5, (), "head/quads"),
        ([[0, 0]], 5, (), "two quads"),
        ([[0, 1]], 6, (), "own_vertices"),
        ([[0, 1]], 5, (0.1, 0.2), "iris_color"),
        ([[0, 1]], 5, (0.1, 0.2, 1.5), "iris_color"),
    ],
)
def test_looks_that_cannot_be_are_refused(quads, own, iris, says):
    take = small_take()
    head = dataclasses.replace(take.head, quads=np.array(quads, np.int32), own_vertices=own)
    with pytest.raises(ProtocolError, match=says):
        take_to_wire(dataclasses.replace(take, head=head, iris_color=iris))
