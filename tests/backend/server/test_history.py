"""What ends under a job, counted: who is set aside, who goes on, and with how much memory."""

from __future__ import annotations

from backend.server.history import BLANK, MAX_LOSSES, Death, History

CRASH = Death("was ended by SIGSEGV")
KILL = Death("was ended by SIGKILL", killed=True)
HUNGRY = Death("was ended by SIGKILL", killed=True, hungry=True)


def after(history: History, *deaths: tuple[Death, float]) -> History:
    for death, fraction in deaths:
        history = history.after_death(death, "fitting", fraction)
    return history


def test_the_third_end_in_one_place_is_the_last() -> None:
    twice = after(BLANK, (CRASH, 0.3), (CRASH, 0.32))
    assert twice.verdict is None
    verdict = after(twice, (KILL, 0.3)).verdict
    assert verdict is not None and verdict.code == "worker_died"
    assert verdict.message.count("SIGSEGV during “fitting”") == 2 and "SIGKILL" in verdict.message


def test_ends_of_a_job_that_gets_on_are_no_reason_to_give_it_up() -> None:
    history = BLANK
    for tenth in range(10):
        history = after(history, (CRASH, tenth / 10), (CRASH, tenth / 10 + 0.05))
        assert history.verdict is None


def test_a_job_that_begins_anew_each_time_does_not_count_as_getting_on() -> None:
    assert after(BLANK, (CRASH, 0.5), (CRASH, 0.4), (CRASH, 0.55)).verdict is not None


def test_want_of_memory_means_less_of_it_and_a_kill_by_hand_does_not() -> None:
    assert after(BLANK, (CRASH, 0), (CRASH, 0)).smaller == 0
    assert after(BLANK, (KILL, 0)).smaller == 0
    assert after(BLANK, (HUNGRY, 0)).smaller == 1
    assert after(BLANK, (KILL, 0), (KILL, 0)).smaller == 1, "the second time memory is the likelier cause"
    once = BLANK.after_exhaustion()
    twice = once and once.after_exhaustion()
    assert twice is not None and twice.smaller == 2 and twice.after_exhaustion() is None


def test_a_job_under_which_machines_end_steps_back_and_then_is_set_aside() -> None:
    history = BLANK
    for loss in range(1, MAX_LOSSES + 1):
        assert history.verdict is None
        history = history.after_loss(0.2)
        assert history.steps_back == (loss >= 3) and history.smaller == int(loss >= 3)
    assert history.verdict is not None and "stopped 6 times" in history.verdict.message


def test_losses_of_a_job_that_gets_on_are_forgotten() -> None:
    history = BLANK
    for tenth in range(10):
        history = history.after_loss(tenth / 10).after_loss(tenth / 10)
        assert history.verdict is None and not history.steps_back
