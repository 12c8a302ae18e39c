"""The open head's identities mixed with scanned people: the mixture's mean and covariance, and whose modes it saw."""

import numpy as np
import pytest

from backend.datasets.splits import identity_modes
from backend.head_model.builder.actions import mirrored
from backend.head_model.builder.identity import IdentitySpace
from backend.head_model.builder.scanned import ScannedPeople, mixed_space, onto, read_scanned, without_rigid
from backend.head_model.library import load_head

MIRROR = np.array([1, 0, 3, 2, *range(4, 9)])
"""Two pairs of mirrored points and five in the middle plane."""


@pytest.fixture
def population():
    rng = np.random.default_rng(4)
    mean = rng.normal(size=(9, 3))
    mean = (mean + mirrored(mean, MIRROR)) / 2
    offsets = rng.normal(size=(6, 9, 3)) * 0.1
    even, odd = offsets + mirrored(offsets, MIRROR), offsets - mirrored(offsets, MIRROR)
    space = IdentitySpace(mean, np.concatenate([even[:3], odd[3:]]), np.full(6, 1 / 6))
    weight = rng.uniform(0.5, 1, 9)
    weight = (weight + weight[MIRROR]) / 2
    modes = without_rigid(rng.normal(size=(4, 9, 3)) * 0.2, mean, weight)
    people = ScannedPeople(mean + mirrored(modes[:1], MIRROR)[0] * 0.1 + modes[0] * 0.1, modes)
    return space, people, weight


def covariance(basis):
    flat = basis.reshape(len(basis), -1)
    return flat.T @ flat


def test_mean_and_covariance_are_those_of_the_mixture(population):
    space, people, weight = population
    mixed = mixed_space(space, people, MIRROR, weight, share=0.3, count=27)
    apart = onto(people.mean, space.mean, weight) - space.mean
    apart = (apart + mirrored(apart, MIRROR)) / 2
    assert np.allclose(mixed.mean, space.mean + 0.3 * apart)
    both_sides = (covariance(people.modes) + covariance(mirrored(people.modes, MIRROR))) / 2
    wanted = 0.7 * covariance(space.basis) + 0.3 * both_sides + 0.21 * covariance(apart[None])
    assert np.allclose(covariance(mixed.basis), wanted, atol=1e-12)


def test_components_are_ordered_and_mirror_symmetric(population):
    space, people, weight = population
    mixed = mixed_space(space, people, MIRROR, weight, count=10)
    variance = (mixed.basis**2 * (weight / weight.sum())[:, None]).sum(axis=(1, 2))
    assert (np.diff(variance) < 1e-12).all() and np.allclose(
        variance / variance[0], mixed.explained / mixed.explained[0]
    )
    for component in mixed.basis:
        flipped = mirrored(component, MIRROR)
        assert min(np.abs(component - flipped).max(), np.abs(component + flipped).max()) < 1e-12


def test_nobody_scanned_changes_nothing(population):
    space, people, weight = population
    mixed = mixed_space(space, people, MIRROR, weight, share=0.0, count=10)
    assert np.allclose(mixed.mean, space.mean)
    assert np.allclose(covariance(mixed.basis), covariance(space.basis))


def test_where_the_scanned_head_stands_does_not_matter(population):
    space, people, weight = population
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    elsewhere = onto(people.mean @ turn.T + [1, 2, 3], space.mean, weight)
    assert np.allclose(elsewhere, onto(people.mean, space.mean, weight))


def test_what_turns_or_moves_the_whole_head_is_taken_out():
    rng = np.random.default_rng(2)
    at, weight = rng.normal(size=(40, 3)), rng.uniform(0.1, 1, 40)
    moves = np.stack([np.tile([1.0, -2, 3], (40, 1)), np.cross([0.1, 0.2, -0.3], at)])
    assert np.abs(without_rigid(moves, at, weight)).max() < 1e-12
    assert np.allclose(without_rigid(at[None] * [[[1.0, -1, 0]]] + moves[:1], at, weight),
                       without_rigid(at[None] * [[[1.0, -1, 0]]], at, weight))  # fmt: skip


def test_the_measurement_saw_training_modes_only(shared_data):
    people, head = read_scanned(), load_head("open")
    assert people.mean.shape == head.template.shape and people.modes.shape[1:] == head.template.shape
    with np.load(shared_data / "ict" / "ict_facekit.npz", allow_pickle=False) as data:
        index = data["landmarks_68"][27:]
        at, deltas = data["neutral"][index] * 0.01, data["identity_deltas"][:, index].astype(np.float64) * 0.01
    points = head.landmarks["ibug68"]
    corners = head.triangles[points.triangle[27:]]
    carried = np.einsum("nk,mnkc->mnc", points.barycentric[27:], people.modes[:, corners])
    unexplained = {split: share_unexplained(carried, deltas[identity_modes(split)], at) for split in ("train", "test")}
    assert unexplained["train"] < 0.6 * unexplained["test"]


def share_unexplained(offsets, modes, at, kept=25):
    """Share of offsets (m,n,3) that the strongest of modes (k,n,3) and a moved or turned head ``at`` leave."""
    rigid = [*(np.tile(axis, (len(at), 1)) for axis in np.eye(3)), *(np.cross(axis, at) for axis in np.eye(3))]
    strongest = np.argsort(-(modes**2).sum(axis=(1, 2)))[:kept]
    system = np.concatenate([modes[strongest], rigid]).reshape(kept + 6, -1).T
    flat = offsets.reshape(len(offsets), -1).T
    rest = flat - system @ np.linalg.lstsq(system, flat, rcond=None)[0]
    return np.sqrt((rest**2).sum() / (flat**2).sum())


def test_the_open_head_lies_between_both_populations():
    people, head = read_scanned(), load_head("open")
    weight = np.maximum(head.vertex_weight.astype(np.float64), 0.1)
    apart = onto(people.mean, head.template.astype(np.float64), weight) - head.template
    face = head.regions["face"] & head.regions["skin"]
    # μ₁ − μ = (1 − α)(μ₁ − μ₀): scanned people's mean is 3.3 mm from MakeHuman's on the face
    assert 1.0 < np.sqrt((apart[face] ** 2).sum(axis=1).mean()) * 1e3 < 3.0
