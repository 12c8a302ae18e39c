"""Folders that are there whole or not at all: what is told before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.errors import UserError
from backend.export.whole_folder import whole_folder


@pytest.mark.skipif(os.name != "posix", reason="a pipe in a folder")
def test_what_is_neither_file_nor_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "link"):
        with pytest.raises(UserError, match=name) as raised, whole_folder(tmp_path / name):
            pytest.fail("the block was entered")
        assert raised.value.code == "bad_output"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_name_that_is_too_long_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written") as raised, whole_folder(tmp_path / ("a" * 300)):
        pytest.fail("the block was entered")
    assert raised.value.code == "output_unwritable"
