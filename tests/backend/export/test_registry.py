"""Exports by name, and the table that is one."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from backend.errors import UserError
from backend.export.csv_table import POSE_COLUMNS
from backend.export.registry import available_exports, export_track
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.library import load_head
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.runners import performance


def table(data: bytes) -> dict[str, list[float]]:
    """Columns of a CSV file by their headings."""
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    return {name: [float(value) for value in column] for name, *column in zip(*rows, strict=True)}


def test_every_export_is_described():
    assert [info.name for info in available_exports()] == ["csv"]
    assert all(info.title and info.help and info.suffix.startswith(".") for info in available_exports())


def test_the_table_holds_the_performance():
    track = replace(performance("/clip.mp4"), tracked=np.arange(10) != 4)
    columns = table(export_track(track, "csv"))
    assert list(columns) == [*POSE_COLUMNS, *ARKIT_ACTIONS]
    assert columns["frame"] == track.frames.tolist() and columns["tracked"] == track.tracked.tolist()
    near = {"atol": 1e-6, "rtol": 0}
    np.testing.assert_allclose(columns["time"], track.times, **near)
    for index, axis in enumerate("xyz"):
        np.testing.assert_allclose(columns[f"head_rotation_{axis}"], track.head_rotation[:, index], **near)
        np.testing.assert_allclose(columns[f"head_translation_{axis}"], track.head_translation[:, index], **near)
    np.testing.assert_allclose(columns["right_eye_pitch"], track.gaze[:, 1, 1], **near)
    weights = solve_action_weights(load_head(), track.expression, track.gaze)
    np.testing.assert_allclose(np.transpose([columns[name] for name in ARKIT_ACTIONS]), weights, **near)


def test_a_tracks_own_weights_are_taken_as_they_are():
    track = performance("/clip.mp4")
    names = ARKIT_ACTIONS[::-1]
    own = np.random.default_rng(0).uniform(size=(10, 52)).astype(np.float32)
    columns = table(export_track(replace(track, action_names=names, actions=own), "csv"))
    np.testing.assert_allclose(columns[names[3]], own[:, 3], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({}, "dance", "unknown_export"),
        ({"head_hash": "f" * 16}, "csv", "head_changed"),
        ({"head_id": "nobody"}, "csv", "head_unknown"),
    ],
)
def test_what_cannot_be_exported_is_named(changes, name, code):
    with pytest.raises(UserError) as caught:
        export_track(replace(performance("/clip.mp4"), **changes), name)
    assert caught.value.code == code


def test_a_track_of_an_earlier_edition_of_the_head_is_exported_with_that_edition():
    first = load_head("open1")
    assert first.id == "open" and first.hash != load_head().hash
    track = replace(
        performance("/clip.mp4"), head_hash=first.hash, action_names=(), actions=np.zeros((10, 0), np.float32)
    )
    columns = table(export_track(track, "csv"))
    weights = solve_action_weights(first, track.expression, track.gaze)
    np.testing.assert_allclose(np.transpose([columns[name] for name in ARKIT_ACTIONS]), weights, atol=1e-6, rtol=0)
