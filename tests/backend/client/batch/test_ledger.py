"""A batch on disk: each clip done once, whole, and by one run at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.client.batch.ledger import ClipRecord, ClipState, Ledger
from backend.errors import UserError

DONE = ClipRecord("smile", ClipState.DONE, "asked", attempts=1, frames=7, error_percent_iod=0.5, seconds=1.0)


def results(ledger: Ledger, text: str) -> Path:
    work = ledger.work_folder("smile")
    (work / "track.npz").write_text(text)
    return work


def test_of_two_results_of_a_clip_one_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note(ClipRecord("smile", ClipState.PENDING, "asked", attempts=1, problem="lost"))
        first, second = results(ledger, "first"), results(ledger, "second")
        assert ledger.put_in_place(first, DONE) and not ledger.put_in_place(second, DONE)
        assert (tmp_path / "smile" / "track.npz").read_text() == "first" and not second.exists()
        assert ledger.record("smile") == DONE
        assert ledger.put_in_place(results(ledger, "again"), DONE, replacing=True)
    assert (tmp_path / "smile" / "track.npz").read_text() == "again"


def test_what_a_killed_run_left_on_its_way_is_nothing_and_what_it_moved_away_is_put_back(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.put_in_place(results(ledger, "kept"), DONE)
        results(ledger, "half")
        (tmp_path / "smile").rename(tmp_path / ".batch" / "earlier" / "smile")  # and there the power went
    with Ledger(tmp_path) as ledger:
        assert ledger.record("smile") == DONE
        assert not any((tmp_path / ".batch" / "unfinished").iterdir())


def test_a_second_run_is_told_that_there_is_one_and_foreign_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "smile").mkdir()
    (tmp_path / "smile" / "by-hand.txt").write_text("mine")
    with Ledger(tmp_path) as ledger:
        with pytest.raises(UserError, match="Another batch is writing"), Ledger(tmp_path):
            pass
        with pytest.raises(UserError, match="no batch has written it"):
            ledger.record("smile")
    with Ledger(tmp_path):
        pass
