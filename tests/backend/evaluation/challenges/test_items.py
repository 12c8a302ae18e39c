"""Items that are made once, and what is told of folders that lack something."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import MAX_NAMED, refuse_missing
from backend.evaluation.challenges.run_items import Item, Record, open_store, publish, run_items, with_paper
from backend.evaluation.tables import Sheet


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_what_is_finished_is_not_made_again_and_what_is_gone_is(tmp_path: Path) -> None:
    made: list[str] = []

    def item(name: str) -> Item:
        beside = tmp_path / f"{name}.txt"

        def make() -> Record:
            made.append(name)
            beside.write_text(name)
            return {"value": len(made)}

        return Item(("set", name), make, (beside,))

    def stopping() -> Record:
        raise KeyboardInterrupt

    store = open_store(tmp_path / "out", {"stride": 3})
    with pytest.raises(KeyboardInterrupt):
        run_items("made", [item("a"), Item(("set", "b"), stopping), item("c")], store, console=quiet())
    assert made == ["a"]
    records = run_items("made", [item("a"), item("b"), item("c")], store, console=quiet())
    assert made == ["a", "b", "c"] and [r["value"] for r in records] == [1, 2, 3]
    (tmp_path / "b.txt").unlink()
    assert [r["value"] for r in run_items("made", [item("a"), item("b"), item("c")], store, console=quiet())] == [
        1,
        4,
        3,
    ]
    other = open_store(tmp_path / "out", {"stride": 4})
    assert run_items("made", [item("a")], other, console=quiet())[0]["value"] == 5


def test_a_picture_without_a_face_is_lost_and_other_errors_stop(tmp_path: Path) -> None:
    def nobody() -> Record:
        raise UserError(ErrorCode.NO_FACE, "No face was found.")

    def broken() -> Record:
        raise UserError(ErrorCode.IMAGE_UNREADABLE, "a.jpg cannot be read.")

    store = open_store(tmp_path, {})
    assert run_items("x", [Item(("a",), nobody)], store, console=quiet()) == [{"key": ["a"], "lost": True}]
    with pytest.raises(UserError, match=r"a\.jpg"):
        run_items("x", [Item(("b",), broken)], store, console=quiet())


def test_missing_files_are_named_as_seen_from_the_folder(tmp_path: Path) -> None:
    refuse_missing(tmp_path, "NoW", [], "hint")
    names = [tmp_path / "scans" / f"{i:02d}.obj" for i in range(MAX_NAMED + 3)]
    with pytest.raises(UserError) as refused:
        refuse_missing(tmp_path, "NoW", [*names, names[0]], "hint")
    told = refused.value.message.replace("\\", "/")
    assert "scans/00.obj, scans/01.obj" in told and told.endswith("scans/11.obj and 3 more.")
    assert refused.value.hint == "hint"


def test_results_are_written_and_printed_with_the_paper_s_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = with_paper([("ours", "1.00")], [("FlowFace", "0.82")])
    publish(
        tmp_path, "A challenge", [Sheet("Table", ("method", "mm"), rows)], {"command": "flowface x", "n": float("nan")}
    )
    assert json.loads((tmp_path / "results.json").read_text()) == {"command": "flowface x", "n": None}
    table = (tmp_path / "tables.md").read_text()
    assert "| FlowFace (paper) | 0.82 |\n| ours | 1.00 |" in table and "`flowface x`" in table
    assert "0.82" in capsys.readouterr().out
