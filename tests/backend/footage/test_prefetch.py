from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.footage import prefetch


@given(st.lists(st.integers()), st.integers(1, 5))
def test_order_and_items_are_kept(items: list[int], depth: int) -> None:
    assert list(prefetch(items, depth)) == items


def test_never_more_than_depth_ahead() -> None:
    made = 0

    def counted() -> Iterator[int]:
        nonlocal made
        for number in range(100):
            made += 1
            yield number

    ahead = [made - number for number in prefetch(counted(), depth=3)]
    assert max(ahead) <= 3 + 2  # the queue, the one in the producer's hand and the one being used


def test_an_error_arrives_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    items = prefetch(failing())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk"):
        next(items)


def test_closing_early_stops_the_thread() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(endless())
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
    assert closed.wait(5)
