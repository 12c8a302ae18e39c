"""The folders in which a node of a batch works, in a place where other users of its machine may write, too."""

from __future__ import annotations

import os
import sys
import tempfile

import pytest

from backend.client.batch.node import SCRATCH, _scratch

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="a link needs rights there")


@POSIX_ONLY
def test_stale_folders_go_and_what_others_put_there_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp" / f"{SCRATCH}stale").mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / "tmp" / f"{SCRATCH}link").symlink_to(precious)
    if os.geteuid() == 0:
        foreign = tmp_path / "tmp" / f"{SCRATCH}foreign"
        foreign.mkdir()
        os.chown(foreign, 12345, 12345)
    with _scratch() as folder:
        assert folder.is_dir() and not (tmp_path / "tmp" / f"{SCRATCH}stale").exists()
    assert not folder.exists() and list(precious.iterdir()) == []
    if os.geteuid() == 0:
        assert list(foreign.iterdir()) == []
