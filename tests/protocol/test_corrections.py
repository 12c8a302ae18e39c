"""Corrections: they travel whole, and what says nothing is refused by a sentence that names it."""

import pytest

from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.fields import from_plain

JOB = m.RefineJob(
    "20260101-000000-01234567",
    frames=(30, 40),
    pins=(m.Pin("camera", 33, 1200, (0.25, 0.5, 0.25), (320.5, 241.0)),),
    masks=(
        m.Mask("left", (30, 35), ((1.0, 2.0), (30.0, 2.0), (30.0, 40.5)), drawn_at=32),
        m.Mask("camera"),
    ),
    keys=(m.HeldKey(31, "action:jawOpen", (0.5,)), m.HeldKey(31, "gaze:left", (0.1, -0.2))),
    blend=4,
    name="n",
)


def test_a_refine_job_travels_whole():
    frames = [bytes(frame) for frame in m.pack(m.Submit(JOB), 5)]
    assert m.unpack(frames) == (m.Submit(JOB), 5)


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        (m.Pin, {"barycentric": [0.9, 0.9, 0.2]}, "pin.barycentric"),
        (m.Pin, {"triangle": -1}, "pin.triangle"),
        (m.Pin, {"sigma_px": 0.0}, "pin.sigma_px"),
        (m.Pin, {"position": [10**400, 0]}, "position.*finite"),
        (m.Pin, {"frame": 10**30}, "frame.*whole number"),
        (m.Pin, {"frame": 1 << 40}, "pin.frame"),
        (m.Mask, {"frames": [4, 3]}, "mask.frames"),
        (m.Mask, {"frames": [4, 1 << 31]}, "mask.frames"),
        (m.Mask, {"polygon": [[0, 0]] * 1001}, "mask.polygon.*1000 corners"),
        (m.Mask, {"polygon": [[0, 0], [1, 1]]}, "mask.polygon"),
        (m.HeldKey, {"channel": "jawOpen"}, "key.channel"),
        (m.HeldKey, {"channel": "gaze:left"}, "key.value.*2 finite numbers"),
        (m.HeldKey, {"channel": "head_translation", "value": [1e300, 0, 0]}, "key.value.*none beyond"),
    ],
)
def test_what_says_nothing_is_named(kind, fields, named):
    right = {
        m.Pin: {"view": "a", "frame": 1, "triangle": 2, "barycentric": [1, 0, 0], "position": [3, 4]},
        m.Mask: {"view": "a"},
        m.HeldKey: {"frame": 1, "channel": "action:jawOpen", "value": [0.5]},
    }[kind]
    from_plain(kind, right, "it")
    with pytest.raises(ProtocolError, match=named):
        from_plain(kind, right | fields, "it")


def test_a_refine_takes_no_more_corrections_than_it_can_hold():
    with pytest.raises(ProtocolError, match=r"job.pins.*1000 at most"):
        m.RefineJob("20260101-000000-01234567", pins=JOB.pins * 1001)
