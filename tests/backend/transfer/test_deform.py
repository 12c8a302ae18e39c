"""Deformation transfer where the answer is known: the same mesh, the same moved, a map that is linear."""

import numpy as np
import pytest
from scipy import sparse

from backend.head_model.library import load_head
from backend.head_model.model import actions_of
from backend.head_model.rigid import Similarity
from backend.transfer.deform import DeformationSystem, deformation_gradients

ACTIONS = ("jawOpen", "eyeBlinkLeft", "mouthPucker")


@pytest.fixture(scope="module")
def skin():
    """Vertices, triangles and the offsets of a few actions of the open head's skin."""
    head = load_head("open")
    mask = head.regions["skin"]
    triangles = (np.cumsum(mask) - 1)[head.triangles[mask[head.triangles].all(axis=1)]].astype(np.int32)
    names, basis = actions_of(head)
    offsets = {name: basis[names.index(name)][mask].astype(np.float64) for name in ACTIONS}
    return head.template[mask].astype(np.float64), triangles, offsets


def held_at_one_vertex(count):
    holds = np.full(count, np.inf)
    holds[0] = 0.001
    return holds


def test_the_same_mesh_moves_as_its_source_does(skin):
    vertices, triangles, offsets = skin
    system = DeformationSystem(vertices, triangles, held_at_one_vertex(len(vertices)))
    for moved in offsets.values():
        found = system.offsets(deformation_gradients(vertices, triangles, moved), moved)
        # the open head's own skin is one piece: all but one vertex follow from the gradients alone
        assert np.abs(found - moved).max() < 2e-5


def test_a_mesh_elsewhere_and_of_another_size_moves_in_proportion(skin):
    vertices, triangles, offsets = skin
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    move = Similarity(3.0, turn, np.array([1.0, -2.0, 0.5]))
    system = DeformationSystem(move.apply(vertices), triangles, held_at_one_vertex(len(vertices)))
    wanted = 3.0 * offsets["mouthPucker"] @ turn.T
    gradients = turn @ deformation_gradients(vertices, triangles, offsets["mouthPucker"]) @ turn.T
    assert np.abs(system.offsets(gradients, wanted) - wanted).max() < 6e-5


def test_the_gradient_of_a_linear_map_is_that_map(skin):
    vertices, triangles, _ = skin
    # the fourth point of a triangle keeps to its normal, so that only turns and even stretches are found whole
    angle = 0.4
    turn = 1.3 * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    found = deformation_gradients(vertices, triangles, vertices @ turn.T - vertices)
    assert np.abs(found + np.eye(3) - turn).max() < 1e-6


def test_a_correction_reaches_its_points_and_leaves_what_is_far(skin):
    vertices, triangles, offsets = skin
    system = DeformationSystem(vertices, triangles, np.full(len(vertices), 0.01))
    chin = int(vertices[:, 1].argsort()[len(vertices) // 3])
    rows = sparse.csr_matrix(([1.0], ([0], [chin])), (1, len(vertices)))
    wanted = offsets["jawOpen"][chin] + [0.0, 0.004, 0.0]
    found = system.corrected(offsets["jawOpen"], rows, wanted[None], softness=0.0)
    assert np.abs(found[chin] - wanted).max() < 1e-9
    far = np.linalg.norm(vertices - vertices[chin], axis=1) > 0.08
    assert np.abs(found - offsets["jawOpen"])[far].max() < 1e-5
