"""A file of alignments of each format version, made by the code of its time, is read.

Version 1 is of commit 7cef848, 2 of 5710141, 3 of d645805, 4 of the one that added this file; all hold the same numbers
of nobody: three frames, the first without a face, one view in version 1 and two from then on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.files import write_npz
from backend.observations.io import VERSION, load_alignments
from backend.observations.types import PointSetId

FILES = Path(__file__).parent / "files"
VERSIONS = range(1, VERSION + 1)
FIRST, FREE = PointSetId("mediapipe478", "mediapipe"), PointSetId("free", "network")
SETS = {1: (FIRST,), 2: (PointSetId("flowface", "flowface"),), 3: (FIRST, FREE), 4: (FIRST, FREE)}


def test_there_is_a_file_of_each_version():
    assert {path.name for path in FILES.glob("*.npz")} == {f"alignments_{version}.npz" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_alignments_of_each_version_are_read(version):
    views = load_alignments(FILES / f"alignments_{version}.npz")
    assert len(views) == (1 if version == 1 else 2)
    for number, view in enumerate(views):
        assert tuple(points.id for points in view.point_sets) == SETS[version]
        assert view.numbers.tolist() == [5, 6, 7] and view.found.tolist() == [False, True, True]
        points = view.point_sets[0]
        np.testing.assert_array_equal(points.mu[1:], np.arange(8, 24).reshape(2, 4, 2) + number)
        assert not points.valid[0].any() and points.valid[1:].all() and (points.sigma[1:] == 2.5).all()
        np.testing.assert_array_equal(view.boxes[2], np.arange(12, 18))
        assert view.lid_closure.shape == (3, 2) and np.isnan(view.lid_closure).all() == (version == 1)
        assert version == 1 or view.lid_closure[1].tolist() == [1.0, 0.0]
        assert view.shot_numbers.tolist() == ([0, 0, 1] if version >= 4 else [0, 0, 0])
        assert version < 3 or (view.image_size, view.frame_rate, view.aligner) == ((640, 360), 25.0, "combined")
        assert version < 3 or view.point_sets[1].points.triangle.tolist() == [0, 1]


def test_newer_alignments_are_refused_with_what_to_do(tmp_path):
    with np.load(FILES / f"alignments_{VERSION}.npz") as file:
        arrays = dict(file)
    write_npz(tmp_path / "newer.npz", arrays | {"version": np.array([VERSION + 1])})
    with pytest.raises(UserError, match=f"format version {VERSION + 1}; this FlowFace reads up to") as caught:
        load_alignments(tmp_path / "newer.npz")
    assert caught.value.hint.startswith("Update FlowFace")
    write_npz(tmp_path / "odd.npz", arrays | {"version": np.array([1.5, 2.0])})
    with pytest.raises(UserError, match="its format version is no number"):
        load_alignments(tmp_path / "odd.npz")
