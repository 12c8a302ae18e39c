"""The folder of an adaptation under way: its frames and its latest checkpoint, each whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import platformdirs
import torch

from backend.adaptation.frames import Frames
from backend.errors import UserError
from backend.files import put_in_place, read_npz, remove_temporary_files, write_npz

FRAMES, CHECKPOINT = "frames.npz", "checkpoint.pt"
MAX_FRAMES_BYTES = 1 << 30
FORMAT = 1
"""Of what is kept; another number wherever the same bytes would mean something else."""


class Work:
    """What an earlier, interrupted run of the same adaptation left counts only under the same key."""

    def __init__(self, facts: Sequence[object]) -> None:
        """``facts`` are all that the work follows from: footage, weights, options."""
        key = hashlib.sha256(json.dumps([FORMAT, *facts], default=str).encode()).hexdigest()[:16]
        self.folder = platformdirs.user_state_path("flowface", appauthor=False) / "adaptations" / key

    def frames(self, gather: Callable[[], Frames]) -> Frames:
        """The frames kept, or else those of ``gather``, which are kept."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_temporary_files(self.folder)
        path = self.folder / FRAMES
        if path.is_file():
            try:
                arrays = read_npz(path, "frames", MAX_FRAMES_BYTES)
                if arrays.keys() == {item.name for item in fields(Frames)}:
                    return Frames(**arrays)
            except UserError:
                path.unlink()
        found = gather()
        write_npz(path, found.arrays(), compress=False)
        return found

    def checkpoint(self) -> dict[str, Any] | None:
        """The latest checkpoint; None where there is none, or none that can be read."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        try:
            held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # torch raises many unrelated types on bad bytes; the run begins anew
            path.unlink()
            return None
        return held

    def save(self, state: dict[str, Any]) -> None:
        """Keep a checkpoint, replacing the one before only once it is whole."""
        unfinished = self.folder / f".{CHECKPOINT}.{secrets.token_hex(4)}"
        try:
            torch.save(state, unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            put_in_place(unfinished, self.folder / CHECKPOINT)
        finally:
            unfinished.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
