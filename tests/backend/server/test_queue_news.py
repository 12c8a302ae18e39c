"""A long queue is told where it stands a few jobs at a time, and has an end."""

from __future__ import annotations

import pytest

from backend.errors import ErrorCode, UserError
from backend.server.queue_news import AT_ONCE, QueueNews
from backend.server.refusals import MAX_OF_A_GUEST, MAX_WAITING, require_room


def test_a_long_queue_is_told_in_parts_and_who_waited_longest_comes_first() -> None:
    told: list[str] = []
    news = QueueNews(told.append, interval=0.0)
    queue = [f"job-{number}" for number in range(3 * AT_ONCE)]
    news.changed(queue)
    assert told == queue[:AT_ONCE]
    news.tick()
    assert told == queue[: 2 * AT_ONCE]
    news.changed(queue[1:])
    news.tick()
    assert told[2 * AT_ONCE :] == queue[1 : AT_ONCE + 1] + queue[2 * AT_ONCE :]
    news.tick()
    assert set(told) == set(queue)


def test_a_long_queue_is_told_no_faster_than_that() -> None:
    told: list[str] = []
    news = QueueNews(told.append, interval=1e6)
    news.changed(str(number) for number in range(10 * AT_ONCE))
    for _ in range(9):
        news.tick()
    assert len(told) == 2 * AT_ONCE


def test_a_full_queue_refuses_and_a_guest_has_a_share() -> None:
    require_room(MAX_WAITING - 1, MAX_WAITING - 1, "")
    require_room(0, MAX_OF_A_GUEST - 1, "studio")
    for waiting, own, owner in ((MAX_WAITING, 0, ""), (MAX_OF_A_GUEST, MAX_OF_A_GUEST, "studio")):
        with pytest.raises(UserError) as caught:
            require_room(waiting, own, owner)
        assert caught.value.code == ErrorCode.BUSY
