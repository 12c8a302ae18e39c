"""A new per-frame array is one line: declared in a copy of ``protocol/``, it is in the file, the take and the wire."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.conftest import REPO_ROOT

LINE = '    blur: Annotated[F32, shaped("T", fill=0.5, since={})] = field(default_factory=left_out)\n'
BEFORE = "    action_names: Annotated["

USE = """
import dataclasses, sys
from pathlib import Path
import numpy as np
import protocol
from backend.export.blender import take_result
from backend.track.io import load_track, save_track
from protocol.arrays import at_frames
from protocol.take_codec import take_from_wire, take_to_wire
from tests.backend.heads import small_head
from tests.backend.server.test_result import track_of

folder = Path(sys.argv[1])
assert Path(protocol.__file__).is_relative_to(folder), protocol.__file__
old = load_track(folder / "old.npz")
assert old.blur.tolist() == [0.5] * 4, "a file from before it has it filled in"
blur = np.arange(4, dtype=np.float32)
save_track(dataclasses.replace(track_of(small_head()), blur=blur), folder / "new.npz")
track = load_track(folder / "new.npz")
take = take_result(track, small_head(), "t", {})
fields, arrays = take_to_wire(at_frames(take, slice(1, 3)))
assert take_from_wire(fields, arrays).blur.tolist() == [1, 2]
del arrays["take/blur"]
assert take_from_wire(fields, arrays).blur.tolist() == [0.5, 0.5], "so has a take of an older backend"
"""


def test_a_new_array_is_one_line(tmp_path):
    from backend.track.io import VERSION, save_track
    from tests.backend.track.test_io import small_track

    save_track(small_track(), tmp_path / "old.npz")
    shutil.copytree(REPO_ROOT / "protocol", tmp_path / "protocol", ignore=shutil.ignore_patterns("__pycache__"))
    declarations = tmp_path / "protocol" / "take.py"
    text = declarations.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    declarations.write_text(text.replace(BEFORE, LINE.format(VERSION + 1) + BEFORE), encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(REPO_ROOT)}
    command = [sys.executable, str(tmp_path / "use.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
