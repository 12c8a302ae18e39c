"""The wire format: what goes in comes out, and no bytes of a stranger do more than raise ProtocolError."""

from __future__ import annotations

import tracemalloc

import hypothesis.extra.numpy as hnp
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import CUT_BYTES, DTYPES, MAX_HEADER_BYTES, MAX_PARTS, ProtocolError, decode, encode, join, split

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
HEADERS = st.dictionaries(st.text().filter(lambda key: key != "arrays"), PLAIN, max_size=6)
ARRAYS = st.dictionaries(
    st.text(max_size=12),
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    ),
    max_size=4,
)


@given(HEADERS, ARRAYS)
def test_what_is_encoded_is_decoded(header, arrays):
    frames = [bytes(frame) for frame in encode(header, arrays)]
    got_header, got_arrays = decode(frames)
    assert got_header == header
    assert list(got_arrays) == list(arrays)
    for name, array in arrays.items():
        assert got_arrays[name].dtype == array.dtype and got_arrays[name].shape == array.shape
        assert got_arrays[name].tobytes() == array.tobytes()


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_only_raise_protocol_error(frames):
    try:
        decode(frames)
    except ProtocolError as error:
        assert error.code in {"bad_header", "bad_array", "too_large"}


@given(HEADERS, PLAIN, st.lists(st.binary(max_size=64), max_size=3))
def test_any_array_table_only_raises_protocol_error(header, table, parts):
    try:
        decode([msgpack.packb({**header, "arrays": table}), *parts])
    except ProtocolError as error:
        assert error.code in {"bad_array", "too_large"}


@given(st.data())
def test_damaged_messages_only_raise_protocol_error(data):
    frames = [bytearray(f) for f in encode({"type": "x", "request": 1}, {"a": np.arange(6.0), "b": np.ones(3, bool)})]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frames[data.draw(st.integers(0, len(frames) - 1))]
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(frames)
    except ProtocolError as error:
        assert error.message.endswith(".")


def head(*entries):
    return msgpack.packb({"request": 7, "arrays": list(entries)})


@pytest.mark.parametrize(
    ("entry", "part", "code"),
    [
        (["a", "<f4", [3]], b"\0" * 8, "bad_array"),
        (["a", "<f4", [3]], b"\0" * 16, "bad_array"),
        (["a", "<f8", [2**40, 2**40]], b"\0" * 8, "too_large"),
        (["a", "<f8", [0, 2**60]], b"", "too_large"),
        (["a", "<f8", [-1]], b"", "bad_array"),
        (["a", "<f8", [True]], b"\0" * 8, "bad_array"),
        (["a", "<f8", [1] * 9], b"\0" * 8, "bad_array"),
        (["a", "|O", [1]], b"\0" * 8, "bad_array"),
        (["a", "<U4", [1]], b"\0" * 16, "bad_array"),
        (["a", ">f4", [1]], b"\0" * 4, "bad_array"),
        ([1, "<f4", [1]], b"\0" * 4, "bad_array"),
        (["a", "|b1", [2]], b"\1\2", "bad_array"),
    ],
)
def test_a_lying_array_is_refused_with_the_request_it_belongs_to(entry, part, code):
    with pytest.raises(ProtocolError) as caught:
        decode([head(entry), part])
    assert caught.value.code == code and caught.value.request == 7


def test_a_huge_claim_allocates_nothing():
    frames = [head(["a", "<f8", [2**26]]), b"\0" * 8]  # half a gigabyte, within what one part may have
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode(frames)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_parts_must_be_listed_and_listed_once():
    entry = ["a", "<f4", [1]]
    for frames in ([head(entry)], [head(), b"x"], [head(entry, entry), b"\0" * 4, b"\0" * 4]):
        with pytest.raises(ProtocolError, match=r"parts|twice"):
            decode(frames)


@pytest.mark.parametrize("value", [msgpack.ExtType(5, b"ab"), msgpack.ExtType(5, b""), msgpack.Timestamp(1)])
def test_extension_types_are_refused(value):
    with pytest.raises(ProtocolError) as caught:
        decode([msgpack.packb({"request": 1, "x": value})])
    assert caught.value.code == "bad_header"


def test_deep_nesting_is_refused_not_a_crash():
    with pytest.raises(ProtocolError):
        decode([b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"])


def test_sizes_are_bounded_both_ways():
    for frames in ([b"\0" * (MAX_HEADER_BYTES + 1)], [b"\x80"] + [b""] * (MAX_PARTS + 1)):
        with pytest.raises(ProtocolError) as caught:
            decode(frames)
        assert caught.value.code == "too_large"
    with pytest.raises(ProtocolError) as caught:
        encode({"x": "a" * MAX_HEADER_BYTES})
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.zeros(2, complex), np.zeros((1,) * 9)])
def test_arrays_of_other_kinds_are_not_sent(array):
    with pytest.raises(ProtocolError) as caught:
        encode({}, {"a": array})
    assert caught.value.code == "bad_array"


def test_contiguous_arrays_are_sent_without_a_copy_and_others_arrive_right():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.shares_memory(np.frombuffer(encode({}, {"a": array})[1], np.uint8), array)
    for other in (array.T, array[:, ::2], array.astype(">f4")):
        (got,) = decode([bytes(frame) for frame in encode({}, {"a": other})])[1].values()
        np.testing.assert_array_equal(got, other)


def test_received_arrays_are_read_only():
    (got,) = decode([bytearray(frame) for frame in encode({}, {"a": np.zeros(3)})])[1].values()
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 1


def test_a_message_in_a_file_comes_back_and_a_cut_one_is_refused():
    frames = encode({"type": "x"}, {"a": np.arange(5, dtype=np.float32), "none": np.empty((0, 3), np.float32)})
    data = join(frames)
    header, arrays = decode(split(data))
    assert header["type"] == "x" and arrays["a"].tolist() == [0, 1, 2, 3, 4] and arrays["none"].shape == (0, 3)
    for cut in (data[:-1], data[:5]):
        with pytest.raises(ProtocolError):
            split(cut)


def test_a_large_array_travels_in_parts_to_those_who_read_them():
    arrays = {"a": np.arange(CUT_BYTES, dtype="<u4"), "none": np.empty((0, 3)), "b": np.ones((2, 3), np.float16)}
    frames = [bytes(frame) for frame in encode({"type": "x"}, arrays, cut=True)]
    assert [len(frame) for frame in frames[1:]] == [*[CUT_BYTES] * 4, 0, 12]
    assert len(encode({"type": "x"}, arrays)) == 4, "one from before gets each in one part"
    for name, array in decode(frames)[1].items():
        np.testing.assert_array_equal(array, arrays[name])
    for wrong in (frames[:-1], [*frames, b""]):
        with pytest.raises(ProtocolError, match="list the parts"):
            decode(wrong)
    for count in (0, -1, True, 2, 1 << 62):
        head = msgpack.packb({"arrays": [["a", "|u1", [4], count]]})
        with pytest.raises(ProtocolError, match="list the parts"):
            decode([head, b"1234"])
    head = msgpack.packb({"arrays": [["a", "|u1", [4], 3]]})
    assert decode([head, b"12", b"", b"34"])[1]["a"].tobytes() == b"1234"
    many = {str(number): np.zeros(20_000, np.uint8) for number in range(MAX_PARTS)}
    assert len(encode({}, many, cut=True)) == MAX_PARTS + 1
