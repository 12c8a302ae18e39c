"""Draws the people of ``makehuman_people.npz`` from MakeHuman's sliders; needs the extra ``build`` and ICT-FaceKit.

    python -m backend.evaluation.benchmark.draw_makehuman path/to/ict_facekit.npz

The people are new draws of the sliders that the open head's identities were drawn from, with another seed: nothing
has learnt from them. They are kept as offsets from the open head's first edition, whose mesh and actions (MakeHuman's
own) the benchmark uses, with what that head leaves out: the bust and long hair.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.evaluation.benchmark.makehuman_head import PEOPLE_FILE, first_edition
from backend.evaluation.benchmark.specs import PEOPLE
from backend.files import write_npz
from backend.head_model.builder import identity
from backend.head_model.builder.mesh import HeadMesh, cut_head
from backend.head_model.builder.rig import JOINT_CUBES
from backend.head_model.builder.source import Source, load_source
from backend.head_model.model import surface_positions
from backend.head_model.rigid import similarity_between

F64 = NDArray[np.float64]

SEED = 774_411
BUST_BELOW, BUST_ASIDE = 0.34, 0.27
"""Metres below the eyes and beside the head's middle at which the bust ends."""
COLLAR = 0.004
"""Metres by which the shirt stands off the skin, so that neither shines through the other."""


def draw_people(source: Source, archive: Path) -> dict[str, NDArray[Any]]:
    """The arrays of ``makehuman_people.npz``: positions in metres, in the frame of ICT-FaceKit's template."""
    mesh = cut_head(source, identity.mean_adult(source))
    head = first_edition()
    bust, hair = _bust(source, mesh), source.groups["helper-hair"]
    extra = [np.unique(bust), np.unique(hair)]
    rows = np.concatenate(extra)
    picked = sparse.csr_matrix((np.ones(len(rows)), (np.arange(len(rows)), rows)), (len(rows), len(source.vertices)))
    count = mesh.combination.shape[0]
    whole = replace(
        mesh,
        combination=sparse.vstack([mesh.combination, picked]).tocsr(),
        mirror=np.zeros(len(mesh.mirror) + len(rows), np.int64),
    )
    drawn = identity.sample_adults(source, whole, 2 * PEOPLE, SEED)[:, : -len(JOINT_CUBES)]
    # the first edition's vertices, in its order
    own = np.concatenate([np.arange(count), np.arange(count + len(rows), drawn.shape[1])])
    weight = np.zeros(drawn.shape[1])
    weight[own] = head.vertex_weight
    reference = np.zeros((drawn.shape[1], 3))
    reference[own] = head.template
    aligned = identity.align(drawn, reference, weight)
    ict = load_ict_head(archive)
    marks = surface_positions(head.landmarks["ibug68"], head.triangles, head.template)
    inner = slice(17, 68)  # the jaw's points lie on heads as differently as people place them
    frame = similarity_between(marks[inner], ict.marks[inner], scaled=False)
    people, template = frame.apply(aligned), frame.apply(head.template)
    shirt = people[:, count : count + len(extra[0])]
    return {
        "offsets": (people[:, own] - template).astype(np.float16),
        "rotation": frame.rotation,
        "translation": frame.translation,
        "bust": _stood_off(shirt, np.searchsorted(extra[0], bust)).astype(np.float16),
        "bust_quads": np.searchsorted(extra[0], bust).astype(np.int16),
        "hair": people[:, count + len(extra[0]) : count + len(rows)].astype(np.float16),
        "hair_quads": np.searchsorted(extra[1], hair).astype(np.int16),
    }


def _bust(source: Source, mesh: HeadMesh) -> NDArray[np.int64]:
    """Quads (F,4) of the body from the neck cut to the chest."""
    quads = source.groups["body"]
    head = mesh.base_vertex[mesh.parts["skin"][: len(mesh.base_vertex)]]
    eyes = mesh.apply(source.vertices)[mesh.parts["left_eyeball"]].mean(axis=0)
    place = source.vertices - eyes * np.array([0.0, 1.0, 1.0])
    near = (place[:, 1] > -BUST_BELOW) & (np.abs(place[:, 0]) < BUST_ASIDE)
    outside = ~np.isin(quads, head).all(axis=1)
    below = place[quads][..., 1].max(axis=1) < 0  # and not the insides of mouth and eyes
    return quads[near[quads].all(axis=1) & outside & below]


def _stood_off(shirts: F64, quads: NDArray[np.int64]) -> F64:
    out = shirts.copy()
    for shirt in out:
        a, b, c, d = (shirt[quads[:, k]] for k in range(4))
        normal = np.zeros_like(shirt)
        for k in range(4):
            np.add.at(normal, quads[:, k], np.cross(c - a, d - b))
        shirt += COLLAR * normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return out


if __name__ == "__main__":
    write_npz(PEOPLE_FILE, draw_people(load_source(), Path(sys.argv[1])))
