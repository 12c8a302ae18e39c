"""The 52 weights alone, of heads whose expressions are not ARKit's, too."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from backend.export.registry import EXPORTS
from backend.export.takes import ExportTake
from protocol.face_actions import ARKIT_ACTIONS
from tests.backend.export.made_takes import FRAMES, made_take


@pytest.fixture(scope="module", params=["open", "flame"])
def take(request: pytest.FixtureRequest) -> ExportTake:
    """A take with weights of its own, in an order of its own, and times that are no frames' of a steady rate."""
    take = made_take(request.param)
    own = np.random.default_rng(0).uniform(size=(4, 52)).astype(np.float32)
    times = np.array([0.25, 0.29, 0.3333333, 50.0])
    return replace(take, track=replace(take.track, action_names=ARKIT_ACTIONS[::-1], actions=own, times=times))


def test_the_table_has_frame_time_and_the_weights(take: ExportTake) -> None:
    write = EXPORTS["arkit_csv"].write
    assert write is not None
    heading, *rows = csv.reader(io.StringIO(write(take.track, take.head).decode(), newline=""))
    assert heading == ["frame", "time", *ARKIT_ACTIONS]
    assert [row[:2] for row in rows] == [["7", "0.250000"], ["8", "0.290000"], ["9", "0.333333"], ["1250", "50.000000"]]
    weights = np.array([[float(cell) for cell in row[2:]] for row in rows])
    np.testing.assert_allclose(weights[:, ::-1], take.track.actions, atol=1e-6)


def test_the_json_has_names_and_frames(take: ExportTake) -> None:
    write = EXPORTS["arkit_json"].write
    assert write is not None
    read = json.loads(write(take.track, take.head))
    assert read["names"] == list(ARKIT_ACTIONS) and read["frame_rate"] == 25
    assert [frame["frame"] for frame in read["frames"]] == list(FRAMES)
    assert [frame["time"] for frame in read["frames"]] == [0.25, 0.29, 0.333333, 50.0]
    weights = np.array([frame["weights"] for frame in read["frames"]])
    np.testing.assert_allclose(weights[:, ::-1], take.track.actions, atol=1e-6)
