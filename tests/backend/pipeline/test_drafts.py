"""Heads to show while footage is being aligned: early, near the truth, and never at the job's expense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.fitting import FitOptions
from backend.observations import AlignedFrame, Alignment, FaceBox
from backend.pipeline import drafts
from backend.pipeline.open_views import OpenView
from protocol.messages import TrackJob, ViewSpec
from tests.backend.fitting import made_takes as made

FRAMES = 40
SPEC = TrackJob((ViewSpec("/clip.mp4"),))
OPEN = 0.2 + 0.6 * np.sin(np.linspace(0, 3, FRAMES)) ** 2
TRUTH = made.performance(FRAMES, {"jawOpen": OPEN}, degrees=np.stack([np.linspace(-15, 15, FRAMES), 0 * OPEN], axis=1))


def opened(total: int = FRAMES) -> OpenView:
    """Footage of which only facts are asked."""
    facts = {"path": Path("/clip.mp4"), "kind": "video", "first_frame": 1, "frame_count": total, "rotation": 0}
    info = SimpleNamespace(**facts, files=(), numbers=(), width=made.SIDE, height=made.SIDE, frame_rate=made.FRAME_RATE)
    return OpenView(SPEC.views[0], SimpleNamespace(info=info, total=total), None, made.FRAME_RATE)


def frames(faceless: tuple[int, ...] = ()) -> list[AlignedFrame]:
    seen = made.view(TRUTH, made.Seen()).alignment
    found = []
    for t in range(FRAMES):
        sets = (replace(s, mu=s.mu[t], sigma=s.sigma[t], valid=s.valid[t]) for s in seen.point_sets)
        alignment = Alignment(tuple(sets), FaceBox(0, 0, made.SIDE, made.SIDE))
        found.append(AlignedFrame(t + 1, t / made.FRAME_RATE, t + 1.0, None if t in faceless else alignment))
    return found


def drafting(shown: list, total: int = FRAMES, on_draft=None, should_cancel=lambda: False) -> drafts.Drafts:
    aligner = SimpleNamespace(name="mediapipe", point_sets=made.view(TRUTH, made.Seen()).alignment.ids, lids=None)
    keep = on_draft or shown.append
    return drafts.Drafts(SPEC, made.head(), opened(total), aligner, FitOptions(), keep, should_cancel)


def test_the_first_frames_with_a_face_are_a_head_already():
    shown = []
    draft = drafting(shown)
    for frame in frames(faceless=(2, 3)):
        draft.add(frame)
        if shown:
            break
    (track,) = shown
    assert track.frames.tolist() == [1, 2, 5, 6, 7, 8, 9, 10] and track.tracked.all()
    at = track.frames - 1
    # the focal length of so few frames is a guess: where the head is across the picture is not
    assert np.abs(track.expression[:, made.column("jawOpen")] - OPEN[at]).max() < 0.15
    off = Rotation.from_rotvec(track.head_rotation) * Rotation.from_rotvec(TRUTH.head_rotation[at]).inv()
    assert np.rad2deg(off.magnitude().max()) < 5


def test_drafts_get_fewer_as_the_take_grows_and_are_of_few_frames(monkeypatch):
    monkeypatch.setattr(drafts, "SHARE", np.inf)
    shown = []
    draft = drafting(shown)
    for frame in frames():
        draft.add(frame)
    assert [len(track.frames) for track in shown] == [8, 16, 16]
    assert [track.frames[-1] for track in shown] == [8, 16, 32] and shown[-1].frames[0] == 1


def test_frames_of_an_earlier_run_are_one_draft_and_go_on_from_there(monkeypatch):
    monkeypatch.setattr(drafts, "SHARE", np.inf)
    shown = []
    draft, known = drafting(shown), frames()
    draft.go_on(known[:20])
    assert [track.frames[-1] for track in shown] == [20]
    for frame in known[20:]:
        draft.add(frame)
    assert [track.frames[-1] for track in shown] == [20, 32]


def test_further_drafts_wait_where_they_would_cost_too_much():
    shown = []
    draft = drafting(shown)
    for frame in frames():  # all there at once: the job takes no time by which a second draft would be paid
        draft.add(frame)
    assert len(shown) == 1


def test_a_short_take_has_none():
    shown = []
    draft = drafting(shown, total=drafts.FEWEST - 1)
    for frame in frames():
        draft.add(frame)
    assert shown == []


def test_a_draft_that_fails_is_left_out_and_one_that_is_cancelled_ends_the_job():
    def fail(_track):
        raise OSError("the disk is full")

    draft = drafting([], on_draft=fail)
    for frame in frames()[:9]:
        draft.add(frame)
    draft = drafting([], should_cancel=lambda: True)
    with pytest.raises(Cancelled):
        for frame in frames():
            draft.add(frame)
