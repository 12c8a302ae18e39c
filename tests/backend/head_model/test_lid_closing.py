"""A full blink closes the eyes of anybody, wherever they look, and half a blink stays one."""

import numpy as np
import pytest

from backend.head_model.eyeball import eyeball_of
from backend.head_model.library import load_head
from backend.head_model.lid_clearance import with_clear_lids
from backend.head_model.lid_closing import LOOKS, closing_blink, lid_rims
from backend.head_model.personal import with_corrections

MM = 1000.0
STEP_MM = 0.1
COLUMNS = 25
LOOKING = ({}, *({f"eyeLook{way}": strength} for way, strength in LOOKS.items()))


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def people(head):
    """Of 24 people two whose lids meet in the head's own blink, and the four with the widest eyes."""
    rng = np.random.default_rng(11)
    identities = [np.clip(rng.normal(size=len(head.shape_basis)), -2, 2) for _ in range(24)]
    return [head.neutral(identities[n]) for n in (2, 4, 6, 7, 13, 18)]


def weak(head, seed):
    """Personal actions that take from a blink up to a fifth of it, and shift the lower lids by up to 0.5 mm."""
    rng = np.random.default_rng(seed)
    offsets = np.zeros_like(head.expression_basis)
    for side in ("Left", "Right"):
        row = head.expression_names.index(f"eyeBlink{side}")
        offsets[row] = -rng.uniform(0.05, 0.2) * head.expression_basis[row]
        below = head.regions["lids"] & (head.template[:, 1] < head.joints(head.template)[3, 1] - 0.003)
        offsets[row, below, 1] -= rng.uniform(0, 0.0005)
    return offsets


def deltas(head, weights, side):
    return sum((w * head.expression_basis[head.expression_names.index(f"{n}{side}")] for n, w in weights.items()), 0.0)


def around(points):
    """Azimuths towards +x and elevations of points (n,3) from an eye's centre."""
    x, y, z = points.T
    return np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))


def open_gaps(head, neutral, states, side):
    """How much of the eyeball no skin covers in columns between the corners of the eye, (states, columns), mm.

    On rays from the eye's centre, between the lids' edges at rest; covered where skin crosses a ray outside the eye.
    """
    part = f"{side.lower()}_eyeball"
    eyeball, rims = eyeball_of(head, neutral, part), lid_rims(head, part)
    outer = head.regions["skin"] & ~head.regions["eye_sockets"] & ~head.regions["mouth_bag"]
    near = outer & (np.linalg.norm(head.template - eyeball.centre, axis=1) < 0.045)
    near &= head.template[:, 2] > eyeball.centre[2] - 0.005
    triangles = head.triangles[near[head.triangles].all(axis=1)]
    along, above = around(neutral[rims.upper[0]] - eyeball.centre)
    along_below, below = around(neutral[rims.lower[0]] - eyeball.centre)
    azimuth = np.linspace(along[0], along[-1], COLUMNS)[1:-1]
    up = np.arange(below.min(), above.max(), STEP_MM / MM / eyeball.radius)
    azimuths, ups = np.meshgrid(azimuth, up, indexing="ij")
    between = (ups < np.interp(azimuth, along, above)[:, None]) & (
        ups > np.interp(azimuth, along_below, below)[:, None]
    )
    azimuths, ups = azimuths[between], ups[between]
    rays = np.stack([np.cos(ups) * np.sin(azimuths), np.sin(ups), np.cos(ups) * np.cos(azimuths)])
    gaps = []
    for state in states:
        a, b, c = (
            (neutral + deltas(head, state, side) - eyeball.centre)[triangles].transpose(1, 0, 2).astype(np.float64)
        )
        volume = np.einsum("fi,fi->f", a, np.cross(b, c))[:, None]
        u, v, w = (np.cross(p, q) / volume @ rays for p, q in ((b, c), (c, a), (a, b)))
        met = (u > -1e-6) & (v > -1e-6) & (w > -1e-6)  # inside the triangle, at 1 / (u + v + w) on the ray
        covered = (met & ((u + v + w) * eyeball.radius <= 1)).any(axis=0)
        seen = np.zeros(between.shape, bool)
        seen[between] = ~covered
        gaps.append(seen.sum(axis=1) * STEP_MM)
    return np.array(gaps)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_full_blink_closes_everybody_s_eyes(head, people, corrected):
    states = [{"eyeBlink": 1.0} | look for look in LOOKING]
    before, after = [], []
    for n, neutral in enumerate(people):
        own = with_corrections(head, weak(head, n)) if corrected else head
        side = ("Left", "Right")[n % 2]
        before.append(open_gaps(own, neutral, states[:1], side).max())
        after.append(open_gaps(with_clear_lids(own, neutral), neutral, states, side))
    assert np.max(after) <= 0.1 + 1e-9
    assert np.sum(np.array(before) > 0.5) >= 4, "these people's own do not"


def test_lids_that_meet_stay_as_they_are(head, people):
    for neutral, meet in ((head.template, True), (people[0], True), (people[-1], False)):
        for side in ("Left", "Right"):
            part = f"{side.lower()}_eyeball"
            names = ("eyeBlink", *(name for look in LOOKING for name in look))
            moves = {name: deltas(head, {name: 1.0}, side).astype(np.float64) for name in names}
            blink = closing_blink(
                lid_rims(head, part), neutral.astype(np.float64), moves, eyeball_of(head, neutral, part)
            )
            assert np.array_equal(blink, moves["eyeBlink"]) == meet


def test_half_a_blink_leaves_the_eye_half_open(head, people):
    """As much as the mean head's, whose share of what is open at rest is 0.43."""
    for neutral in (head.template, *people[3:]):
        opened, half = open_gaps(with_clear_lids(head, neutral), neutral, [{}, {"eyeBlink": 0.5}], "Left").sum(axis=1)
        assert 0.38 < half / opened < 0.5
