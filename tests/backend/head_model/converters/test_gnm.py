"""GNM's archive becomes a source head: its own shapes in its own units, parts by our names, and refusals by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.converters.gnm import read_gnm
from backend.head_model.converters.registry import find_converter
from backend.head_model.registration.checks import source_fault
from backend.head_model.registration.parts import parts_of
from backend.head_model.registration.types import SourceHead
from tests.backend.head_model.gnm_files import BOXES, box_rows, gnm_arrays, save

ARRAYS = gnm_arrays()
LEFT_OUT = ("left iris", "right iris")
KEPT = [name for name in BOXES if name not in LEFT_OUT]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceHead:
    return find_converter("gnm").read(save(tmp_path_factory.mktemp("gnm") / "gnm_head.npz", ARRAYS), lambda _: None)


def rows(name: str) -> slice:
    """The vertices of a box among those that are kept."""
    place = KEPT.index(name)
    return slice(8 * place, 8 * place + 8)


def test_the_form_is_the_published_one() -> None:
    assert len(ARRAYS) == 23 and len(ARRAYS["identity_names"]) == 253 and len(ARRAYS["expression_names"]) == 383
    assert (
        ARRAYS["expression_names"][200] == "lower_face_region_000" and ARRAYS["expression_names"][382] == "pupils_000"
    )


def test_any_coefficients_give_gnms_own_vertices(source: SourceHead) -> None:
    """template + identity · basis + expression · basis (GNM's bind pose), at the vertices that are kept."""
    random = np.random.default_rng(5)
    identity, expression = random.normal(size=253), random.normal(size=383)
    own = ARRAYS["template_vertex_positions"] + np.tensordot(identity, ARRAYS["vertex_identity_basis"], 1)
    own = own + np.tensordot(expression, ARRAYS["expression_basis"], 1)
    found = source.template + np.tensordot(identity, source.shape_basis, 1)
    found = found + np.tensordot(expression[:382], source.expression_basis, 1)
    for name in KEPT:
        np.testing.assert_allclose(found[rows(name)], own[box_rows(name)], atol=1e-6, err_msg=name)


def test_counts_names_and_licence(source: SourceHead) -> None:
    assert source.template.shape == (8 * len(KEPT), 3) and source.shape_basis.shape == (253, 8 * len(KEPT), 3)
    assert source.expression_names == tuple(ARRAYS["expression_names"][:382])  # the pupils open behind what is kept
    assert np.isinf(source.expression_bounds).all() and source.licence.startswith("Apache-2.0")
    assert source.provenance["version"] == "3.0" and source.id == "gnm"
    assert source_fault(source) == ""


def test_faces_are_those_of_the_kept_boxes_and_halves_of_quads(source: SourceHead) -> None:
    assert len(source.triangles) == 12 * len(KEPT) and len(source.quads) == 6 * len(KEPT)
    assert np.bincount(source.triangles.ravel(), minlength=8 * len(KEPT)).min() > 0
    corners = source.template[source.triangles]
    middle = source.template.reshape(-1, 8, 3).mean(axis=1)[source.triangles[:, 0] // 8]
    outwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fc,fc->f", outwards, corners.mean(axis=1) - middle) > 0).all()
    for a, b in source.quads:
        assert len({*source.triangles[a].tolist(), *source.triangles[b].tolist()}) == 4


def test_parts_have_our_names(source: SourceHead) -> None:
    expected = {
        "outer": {"head", "neck", "left ear", "right ear"},
        "mouth_bag": {"bag"},
        "eye_sockets": {"left socket"},
        "left_eyeball": {"left shell"},
        "right_eyeball": {"right shell"},
        "teeth": {"upper teeth", "lower teeth"},
        "tongue": {"tongue"},
        "other": {"upper gums", "lower gums"},
        "lashes": set(),
    }
    parts = parts_of(source)
    for kind, boxes in expected.items():
        assert {name for name in KEPT if parts[kind][rows(name)].all()} == boxes, kind
        assert parts[kind].sum() == 8 * len(boxes)
    assert source.regions["gums"][rows("upper gums")].all() and source.regions["skin"][rows("bag")].all()


def changed(name: str, value: Any) -> dict[str, Any]:
    return {**ARRAYS, name: value}


def with_value(name: str, value: float) -> dict[str, Any]:
    array = ARRAYS[name].copy()
    array.flat[7] = value
    return changed(name, array)


def without_group(name: str) -> dict[str, Any]:
    groups = ARRAYS["vertex_groups"].copy()
    groups[ARRAYS["vertex_group_names"].index(name)] = 0
    return changed("vertex_groups", groups)


TEMPLATE = ARRAYS["template_vertex_positions"]
CASES = {
    "a body": (changed("variant", "body"), "gnm_inconsistent", "“body”"),
    "another version": (changed("version", "4.1"), "gnm_inconsistent", "version 4.1"),
    "centimetres": (changed("template_vertex_positions", 100 * TEMPLATE), "gnm_inconsistent", "39 high"),
    "mirrored": (changed("template_vertex_positions", TEMPLATE * [-1, 1, 1]), "gnm_inconsistent", "subject's left"),
    "turned": (changed("template_vertex_positions", TEMPLATE * [1, 1, -1]), "gnm_inconsistent", "out of the face"),
    "fewer vertices": (
        changed("template_vertex_positions", TEMPLATE[:-1]),
        "gnm_inconsistent",
        "vertex_identity_basis",
    ),
    "nan": (with_value("expression_basis", np.nan), "gnm_inconsistent", "expression_basis .* finite"),
    "outside": (with_value("triangles", 120), "gnm_inconsistent", "triangles points outside its 120"),
    "below": (with_value("quads", -1), "gnm_inconsistent", "quads points outside"),
    "a name less": (changed("expression_names", ["a"] * 382), "gnm_inconsistent", "expression_basis"),
    "no tongue": (without_group("tongue"), "gnm_inconsistent", "tongue"),
    "an array less": ({k: v for k, v in ARRAYS.items() if k != "vertex_groups"}, "gnm_unreadable", "vertex_groups"),
    "texts for numbers": (changed("quads", ["a", "b"]), "gnm_unreadable", "quads holds <U1"),
    "numbers for texts": (changed("variant", 3), "gnm_unreadable", "variant"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_named(tmp_path: Path, case: str) -> None:
    arrays, code, says = CASES[case]
    path = save(tmp_path / "gnm_head.npz", arrays)
    with pytest.raises(UserError, match=says) as caught:
        read_gnm(path)
    assert caught.value.code == code and str(path) in caught.value.message and "google/GNM" in caught.value.hint


def test_no_file_no_archive_and_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_gnm(tmp_path / "gone.npz")
    assert caught.value.code == "gnm_missing"
    whole = save(tmp_path / "whole.npz", ARRAYS).read_bytes()
    hostile = save(tmp_path / "hostile.npz", changed("variant", np.array([{"run": "me"}], object))).read_bytes()
    for data in (b"", b"PK no archive", whole[: len(whole) // 2], hostile):
        path = tmp_path / "bad.npz"
        path.write_bytes(data)
        with pytest.raises(UserError) as caught:
            read_gnm(path)
        assert caught.value.code == "gnm_unreadable"
