"""What a job's steps found is kept to the bit, and believed only where it is whole and the job's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.fitting import FittedCamera
from backend.fitting.neutral import AtRest
from backend.observations import PointSetId
from backend.pipeline.kept_steps import KeptSteps


def never() -> None:
    raise AssertionError("this step was done already")


def test_a_step_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    turned = np.asfortranarray(np.random.default_rng(1).normal(size=(3, 4)))
    camera = FittedCamera(0.1 + 0.2, (1.5, float("nan")), turned)
    value = (camera, AtRest((4, 5), False), [PointSetId("a", "b"), None], {"side": 3, "of": 1e-300}, np.zeros((0, 3)))
    made = KeptSteps(tmp_path, "this")("fit", lambda: value)
    again = KeptSteps(tmp_path, "this")("fit", never)
    for one in (made, again):
        assert one[0].focal_px == camera.focal_px and np.isnan(one[0].principal_point[1])
        np.testing.assert_array_equal(one[0].world_to_camera, turned)
        assert one[0].world_to_camera.flags.c_contiguous and one[0].world_to_camera.flags.writeable, "alike in both"
        assert one[1:4] == value[1:4] and type(one[2][0]) is PointSetId and one[4].shape == (0, 3)
    KeptSteps(tmp_path, "this").remove()
    assert not tmp_path.exists()


def test_a_step_may_find_nothing(tmp_path: Path) -> None:
    assert KeptSteps(tmp_path, "this")("matched", lambda: None) is None
    assert KeptSteps(tmp_path, "this")("matched", never) is None


@pytest.mark.parametrize("wrong", ["key", "cut short", "damaged"])
def test_what_is_not_whole_or_not_its_own_is_done_again(tmp_path: Path, wrong: str) -> None:
    steps = KeptSteps(tmp_path, "this")
    steps.put("fit", AtRest((1,), True))
    path = tmp_path / "fit.npz"
    if wrong == "key":
        steps = KeptSteps(tmp_path, "that")
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if wrong == "cut short" else data.replace(b"AtRest", b"System"))
    assert steps.find("fit") is None
    assert steps("fit", lambda: 7) == 7 == steps.find("fit")
    assert steps.within("2").find("fit") is None
