"""A toy export of several files, also of several takes: the heads' names, and a folder with a file for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.takes import ExportTake
from backend.progress import JobProgress, OnProgress, ShouldCancel

NAME, TITLE, HELP = "toy_folder", "Jaw by Folder", "how far the jaw is open, a file for each frame"
SILENT = "This person says nothing."


def jaw_files(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """A file for each frame; a take that is called silent cannot be exported, which is found out late."""
    (folder / "heads.txt").write_text("\n".join(take.head.id for take in takes))
    for number, take in enumerate(takes, start=1):
        if should_cancel():
            raise Cancelled
        if take.name == "silent":
            raise UserError(ErrorCode.BAD_EXPORT, SILENT, "Have it speak.")
        jaw = take.track.expression[:, take.head.expression_names.index("jawOpen")]
        (folder / f"take {number}").mkdir()
        for frame, value in zip(take.track.frames, jaw, strict=True):
            (folder / f"take {number}" / f"{frame}.jaw").write_text(f"{value:.3f}")
        on_progress(JobProgress("opening the mouth", number / len(takes), number, len(takes)))
