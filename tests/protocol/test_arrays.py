"""Arrays are what their declaration says: filled in where left out, cut at frames, refused by name."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.arrays import (
    Counts,
    at_frames,
    cast,
    check,
    declared,
    fill_left_out,
    gather,
    left_out,
    newest,
    pick,
    plain_fields,
    shaped,
)
from protocol.codec import ProtocolError

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lens:
    """A part of a ``Toy``."""

    focal: Annotated[NDArray[np.float64], shaped("T")]


@dataclass(frozen=True, eq=False, kw_only=True)
class Toy:
    """One array of every kind."""

    label: str
    lenses: tuple[Lens, ...]
    names: Annotated[tuple[str, ...], Counts("A")] = ()
    weights: Annotated[F32, shaped("A", "T", 2)]
    flags: Annotated[NDArray[np.bool_], shaped("T", since=2)]
    numbers: Annotated[NDArray[np.int64], shaped("T", fill=-1)] = field(default_factory=left_out)
    spread: Annotated[F32, shaped("T", "A", fill=np.nan, finite=False, since=3)] = field(default_factory=left_out)
    extra: Annotated[F32, shaped("A", 3)] = field(default_factory=left_out)
    free: Annotated[F32, shaped("V", 3)] = field(default_factory=left_out)

    def __post_init__(self) -> None:
        fill_left_out(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class MoreToy(Toy):
    """One array more, in one line."""

    speed: Annotated[F32, shaped("T", fill=0.5, since=4)] = field(default_factory=left_out)


def toy(frames: int = 4, names: tuple[str, ...] = ("a", "b"), cls: type[Toy] = Toy, **changes: Any) -> Toy:
    random = np.random.default_rng(frames)
    count = len(names)
    fields: dict[str, Any] = {
        "label": "toy",
        "lenses": tuple(Lens(focal=random.uniform(size=frames)) for _ in range(2)),
        "names": names,
        "weights": random.uniform(size=(count, frames, 2)).astype(np.float32),
        "flags": random.uniform(size=frames) > 0.5,
        "extra": random.uniform(size=(count, 3)).astype(np.float32),
    }
    return cls(**fields | changes)


def test_the_dtype_is_the_annotations_and_subclasses_add_theirs():
    arrays = declared(MoreToy)
    assert list(arrays) == ["weights", "flags", "numbers", "spread", "extra", "free", "speed"]
    assert [a.dtype.str for a in arrays.values()] == ["<f4", "|b1", "<i8", "<f4", "<f4", "<f4", "<f4"]
    assert [a.optional for a in arrays.values()] == [False, False, True, True, True, True, True]
    assert (newest(Toy), newest(Lens, MoreToy)) == (3, 4)


def test_an_array_without_a_declaration_is_noticed():
    @dataclass(frozen=True)
    class Careless:
        forgotten: F32

    with pytest.raises(TypeError, match=r"Careless\.forgotten"):
        declared(Careless)


@given(frames=st.integers(0, 5), names=st.integers(0, 3))
def test_what_is_left_out_is_filled_in(frames, names):
    got = toy(frames, ("a", "b", "c")[:names], MoreToy)
    assert got.numbers.dtype == np.int64 and got.numbers.tolist() == [-1] * frames
    assert got.spread.shape == (frames, names) and np.isnan(got.spread).all()
    assert got.free.shape == (0, 3) and got.free.dtype == np.float32
    assert got.speed.tolist() == [0.5] * frames
    check(got, {})


def test_numbers_that_nobody_gave_are_not_invented():
    incomplete = toy(extra=left_out())
    for value in (incomplete, cast(incomplete), at_frames(incomplete, slice(0, 2))):
        with pytest.raises(ProtocolError, match="“toy/extra” is missing"):
            check(value, {}, "toy/")
    check(toy(names=(), extra=left_out()), {})


WRONG = {
    "weights": np.zeros((2, 4, 3), np.float32),
    "flags": np.zeros(4, np.int8),
    "numbers": np.zeros(5, np.int64),
    "spread": np.zeros(4, np.float32),
    "extra": np.full((2, 3), np.inf, np.float32),
    "free": np.zeros((7, 2), np.float32),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_as_declared_is_refused_by_name(name):
    with pytest.raises(ProtocolError, match=f"“toy/{name}”") as caught:
        check(toy(**{name: WRONG[name]}), {}, "toy/")
    assert caught.value.code == "bad_take"


def test_a_refusal_says_what_came_and_what_was_expected():
    with pytest.raises(
        ProtocolError, match=re.escape("“weights” has shape (2, 3, 2), expected (A, T, 2) with A = 2, T = 4")
    ):
        check(toy(weights=np.zeros((2, 3, 2), np.float32)), {"T": 4})
    with pytest.raises(ProtocolError, match=re.escape("“flags” is int8 (4,), expected bool (T)")):
        check(toy(flags=WRONG["flags"]), {})
    with pytest.raises(ProtocolError, match="“names” has 2 entries, expected A = 3"):
        check(toy(), {"A": 3})


@settings(deadline=None)
@given(st.data())
def test_frames_are_cut_out_of_every_array_that_has_them(data):
    whole = toy(data.draw(st.integers(1, 6)), cls=MoreToy, numbers=left_out())
    count = len(whole.flags)
    index = data.draw(
        st.one_of(
            st.lists(st.integers(-count, count - 1), max_size=8).map(lambda some: np.array(some, np.int64)),
            st.lists(st.booleans(), min_size=count, max_size=count).map(lambda some: np.array(some, bool)),
            st.slices(count),
        )
    )
    some = at_frames(whole, index)
    kept = np.arange(count)[index]
    np.testing.assert_array_equal(some.weights, whole.weights[:, kept])
    for name in ("flags", "numbers", "spread", "speed"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[kept])
    for before, after in zip(whole.lenses, some.lenses, strict=True):
        np.testing.assert_array_equal(after.focal, before.focal[kept])
    assert some.extra is whole.extra and (some.label, some.names) == (whole.label, whole.names)


def test_what_is_written_can_be_picked_again_in_every_version():
    whole = toy(cls=MoreToy)
    arrays = gather(whole, "toy/")
    assert set(pick(MoreToy, arrays, {}, "toy/")) == set(declared(MoreToy))
    assert set(pick(MoreToy, arrays, {}, "toy/", version=2)) == {"weights", "flags", "numbers", "extra", "free"}
    arrays.pop("toy/numbers")
    assert "numbers" not in pick(MoreToy, arrays, {}, "toy/"), "a peer may leave it out"
    with pytest.raises(ProtocolError, match="“toy/numbers” is missing"):
        pick(MoreToy, arrays, {}, "toy/", version=4)
    assert plain_fields(whole) == {"label": "toy", "names": ["a", "b"]}


def test_casting_copies_only_what_changes():
    mixed = toy(weights=np.zeros((2, 4, 2)), lenses=(Lens(focal=np.ones(4, np.float32)),))
    got = cast(mixed)
    assert got.weights.dtype == np.float32 and got.lenses[0].focal.dtype == np.float64
    assert np.shares_memory(got.flags, mixed.flags) and np.shares_memory(got.extra, mixed.extra)
    check(got, {})
    with pytest.raises(ProtocolError, match="“weights”"):
        check(dataclasses.replace(got, weights=mixed.weights), {})
