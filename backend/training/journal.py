"""The journal of a run: ``log.jsonl``, one line an entry, and TensorBoard's curves beside it."""

from __future__ import annotations

import contextlib
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from backend.files import write_atomic

LOG = "log.jsonl"


class Journal(AbstractContextManager["Journal", None]):
    """Entries of a run in ``folder``. A resumed run forgets what was written after the checkpoint's ``step``."""

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / LOG
        kept = [entry for entry in read_journal(folder) if entry["step"] <= step] if step else []
        write_atomic(path, "".join(json.dumps(entry) + "\n" for entry in kept).encode(), public=True)
        self._file = path.open("a", encoding="utf-8")
        self._curves: Any = None
        with contextlib.suppress(ImportError):  # comes with the "train" extra
            from torch.utils.tensorboard import SummaryWriter

            self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)  # type: ignore[no-untyped-call]

    def write(self, step: int, kind: str, figures: dict[str, float]) -> None:
        """Figures after ``step`` steps; ``kind`` says of what: "train", "dev" or "real"."""
        self._file.write(json.dumps({"step": step, "kind": kind, **figures}) + "\n")
        self._file.flush()
        if self._curves is not None:
            for name, value in figures.items():
                self._curves.add_scalar(f"{kind}/{name}", value, step)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._curves is not None:
            self._curves.close()


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The entries of ``folder``; a last line that a crash cut off is left out."""
    entries: list[dict[str, Any]] = []
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
    return entries
