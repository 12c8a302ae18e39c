"""FLAME files become source heads: every form of the file, smplx as the reference, and refusals of what is wrong."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.errors import UserError
from backend.head_model.converters.flame import JAW_COLUMNS, jaw_coefficients, read_flame
from backend.head_model.registration.types import SourceHead
from tests.backend.head_model.flame_files import (
    TRIANGLES,
    VERTICES,
    Fields,
    MadeFlame,
    chumpy_pickle,
    make_flame,
    make_tiny_flame,
    plain_pickle,
    write_npz,
)


@pytest.fixture(scope="module")
def made() -> MadeFlame:
    return make_flame(jaw=True)


@pytest.fixture(scope="module")
def source(made: MadeFlame, tmp_path_factory: pytest.TempPathFactory) -> SourceHead:
    path = tmp_path_factory.mktemp("flame") / "flame2023_Open.pkl"
    path.write_bytes(plain_pickle(made.fields))
    return read_flame(path)


def smplx_vertices(fields: Fields, *, shape: Any = None, pose: dict[int, list[float]] | None = None) -> NDArray[Any]:
    """The vertices (V,3) that smplx makes of 400 coefficients and axis-angle poses by joint."""
    from smplx.lbs import lbs

    betas = torch.zeros((1, 400), dtype=torch.float64)
    if shape is not None:
        betas[0] = torch.as_tensor(shape)
    angles = torch.zeros((1, 15), dtype=torch.float64)
    for joint, vector in (pose or {}).items():
        angles[0, 3 * joint : 3 * joint + 3] = torch.tensor(vector)
    vertices, _ = lbs(
        betas,
        angles,
        torch.as_tensor(fields["v_template"])[None],
        torch.as_tensor(fields["shapedirs"]),
        torch.as_tensor(fields["posedirs"].reshape(-1, 36).T.copy()),
        torch.as_tensor(fields["J_regressor"].toarray()),
        torch.tensor([-1, 0, 1, 1, 1]),
        torch.as_tensor(fields["weights"]),
    )
    return vertices[0].numpy()


def test_a_flame_file_keeps_its_counts_names_and_units(source: SourceHead) -> None:
    assert source.id == "flame2023_open"
    assert source.template.shape == (VERTICES, 3) and source.triangles.shape == (TRIANGLES, 3)
    assert source.shape_basis.shape == (300, VERTICES, 3)
    assert source.expression_names[:2] + source.expression_names[99:] == (
        ("expression_000", "expression_001", "expression_099", *JAW_COLUMNS)
    )
    assert np.isinf(source.expression_bounds[:100]).all() and np.isfinite(source.expression_bounds[100:]).all()
    assert source.licence.startswith("CC-BY-4.0")
    assert {"file", "sha256", "smplx", "jaw"} <= set(source.provenance)


@pytest.mark.parametrize("form", ["chumpy", "protocol 0", "protocol 5", "npz", "npz with a pickled regressor"])
def test_every_form_of_the_file_gives_the_same_head(form: str, tmp_path: Path) -> None:
    fields = make_tiny_flame()
    plain, path = tmp_path / "plain.pkl", tmp_path / "generic_model.pkl"
    plain.write_bytes(plain_pickle(fields))
    if form.startswith("npz"):
        path = path.with_suffix(".npz")
        write_npz(fields, path, dense=form == "npz")
    else:
        data = chumpy_pickle(fields) if form == "chumpy" else plain_pickle(fields, int(form[-1]))
        path.write_bytes(data)
    want, found = read_flame(plain), read_flame(path)
    for item in dataclasses.fields(SourceHead):
        value: Any = getattr(want, item.name)
        if isinstance(value, np.ndarray):
            same: Any = getattr(found, item.name)
            np.testing.assert_array_equal(same, value, item.name)
    assert found.expression_names == want.expression_names


def test_the_full_chumpy_file_is_read(made: MadeFlame, source: SourceHead, tmp_path: Path) -> None:
    """Protocol 2 as Python 2 wrote it, 5,023 vertices, 64 MB of shapes behind a chumpy selection."""
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(chumpy_pickle(made.fields))
    found = read_flame(path)
    np.testing.assert_array_equal(found.shape_basis, source.shape_basis)
    np.testing.assert_array_equal(found.expression_basis, source.expression_basis)
    assert found.skinning_weights is not None and source.skinning_weights is not None
    np.testing.assert_array_equal(found.skinning_weights, source.skinning_weights)


def test_shapes_and_expressions_are_smplxs(made: MadeFlame, source: SourceHead) -> None:
    coefficients = np.random.default_rng(2).normal(size=400)
    want = smplx_vertices(made.fields, shape=coefficients)
    found = (
        source.template
        + np.tensordot(coefficients[:300], source.shape_basis, 1)
        + np.tensordot(coefficients[300:], source.expression_basis[:100], 1)
    )
    np.testing.assert_allclose(found, want, atol=2e-6)


@pytest.mark.parametrize("pose", [(0.1, 0.0), (0.25, 0.0), (0.5, 0.0), (0.2, 0.1), (0.3, -0.06)])
def test_the_jaw_columns_move_the_jaw_as_smplx_does(
    pose: tuple[float, float], made: MadeFlame, source: SourceHead
) -> None:
    """A wide opening moves the chin by 50 mm; pose correctives are part of it."""
    want = smplx_vertices(made.fields, pose={2: [*pose, 0.0]}) - made.fields["v_template"]
    coefficients = np.array(jaw_coefficients(*pose))
    lower, upper = source.expression_bounds[100:].T
    assert np.all(coefficients >= lower) and np.all(coefficients <= upper)
    found = np.tensordot(coefficients, source.expression_basis[100:], 1)
    assert np.linalg.norm(want, axis=1).max() > 0.009
    assert np.linalg.norm(found - want, axis=1).max() < 0.0006


def test_eyeballs_turn_rigidly_about_their_joints_as_in_smplx(made: MadeFlame, source: SourceHead) -> None:
    weights, regressor = source.skinning_weights, source.joint_regressor
    assert weights is not None and regressor is not None
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    angle = 0.3
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    for joint in (3, 4):
        ball = weights[:, joint] > 0
        assert np.all(weights[ball, joint] == 1) and 300 < ball.sum() < 400
        centre = regressor[joint] @ source.template
        want = smplx_vertices(made.fields, pose={joint: [0.0, angle, 0.0]})
        found = (source.template[ball] - centre) @ turn.T + centre
        np.testing.assert_allclose(found, want[ball], atol=1e-6)
        np.testing.assert_allclose(
            want[~ball & (weights[:, 7 - joint] == 0)], source.template[~ball & (weights[:, 7 - joint] == 0)], atol=1e-4
        )


def test_expressions_that_carry_the_jaw_get_no_columns(tmp_path: Path) -> None:
    """As in FLAME 2023's no-jaw file: all joints are there, but the expressions open the mouth themselves."""
    path = tmp_path / "flame2023_no_jaw.pkl"
    path.write_bytes(plain_pickle(make_flame(jaw=False).fields))
    source = read_flame(path)
    assert len(source.expression_names) == 100 and source.expression_basis.shape[0] == 100
    assert "carried by the expressions" in source.provenance["jaw"]
    assert "modellicense" in source.licence


def changed(name: str, change: Callable[[Any], Any]) -> Fields:
    fields = make_tiny_flame()
    fields[name] = change(fields[name])
    return fields


def with_value(array: NDArray[Any], value: float) -> NDArray[Any]:
    array = array.copy()
    array.flat[len(array.flat) // 2] = value
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("v_template", lambda a: with_value(a, np.nan)),
        ("v_template", lambda a: 1000 * a),
        ("v_template", lambda a: a[:, :2]),
        ("v_template", lambda a: a[:-1]),
        ("f", lambda a: with_value(a, 12)),
        ("f", lambda a: a.astype(float) + 0.5),
        ("f", lambda a: a[:0]),
        ("shapedirs", lambda a: with_value(a, np.inf)),
        ("shapedirs", lambda a: a[:, :, :150]),
        ("shapedirs", lambda a: with_value(a, 7.0)),
        ("posedirs", lambda a: a[:, :, :18]),
        ("posedirs", lambda _: "none"),
        ("J_regressor", lambda a: 2 * a),
        ("J_regressor", lambda a: a[:4]),
        ("J_regressor", lambda a: a[[0, 1, 2, 4, 3]]),
        ("weights", lambda a: a[:, :4]),
        ("weights", lambda a: 2 * a),
        ("weights", lambda _: np.eye(5)[np.ones(12, int)]),
        ("kintree_table", lambda _: np.array([[2**32 - 1, 0, 1, 2, 1], [0, 1, 2, 3, 4]])),
        ("kintree_table", lambda a: a[:, :4]),
    ],
)
def test_a_field_that_does_not_fit_is_named(name: str, change: Callable[[Any], Any], tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(plain_pickle(changed(name, change)))
    with pytest.raises(UserError) as error:
        read_flame(path)
    others = {"v_template": {"v_template", "shapedirs"}}.get(name, {name})
    assert error.value.code == "flame_field"
    assert any(f"field {other} of {path}" in error.value.message for other in others)


@pytest.mark.parametrize("name", ["v_template", "J_regressor", "kintree_table"])
@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_a_missing_field_is_named(name: str, suffix: str, tmp_path: Path) -> None:
    fields = make_tiny_flame()
    path = tmp_path / f"part{suffix}"
    if suffix == ".npz":
        regressor = {} if name == "J_regressor" else {"J_regressor": fields.pop("J_regressor").toarray()}
        np.savez(path, **{key: value for key, value in fields.items() if key != name}, **regressor)
    else:
        path.write_bytes(plain_pickle({key: value for key, value in fields.items() if key != name}))
    with pytest.raises(UserError, match=rf"field {name} .* missing") as error:
        read_flame(path)
    assert error.value.code == "flame_field"


def test_what_is_no_flame_file_is_refused(tmp_path: Path) -> None:
    cases: dict[str, tuple[bytes, str]] = {
        "empty.pkl": (b"", "flame_unreadable"),
        "text.pkl": (b"v 0 0 0\nv 1 0 0\n", "flame_unreadable"),
        "list.pkl": (pickle.dumps([1, 2]), "flame_unreadable"),
        "archive.npz": (b"PK\x03\x04 not really", "flame_unreadable"),
        "hostile.pkl": (pickle.dumps({"v_template": os.system}), "flame_unsafe"),
    }
    for name, (data, code) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError) as error:
            read_flame(path)
        assert error.value.code == code and str(path) in error.value.message and error.value.hint
    with pytest.raises(UserError) as error:
        read_flame(tmp_path / "absent.pkl")
    assert error.value.code == "flame_missing"
    with pytest.raises(UserError) as error:
        read_flame(tmp_path)
    assert error.value.code == "flame_missing"


class Call:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["field of a pickle", "field of an npz", "unused field"])
def test_a_malicious_file_is_refused_without_running_it(form: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "generic_model.pkl"
    fields = make_tiny_flame()
    if form == "field of an npz":
        path = path.with_suffix(".npz")
        np.savez(path, **{**fields, "J_regressor": np.array([Call(marker)], object)})
    else:
        path.write_bytes(
            pickle.dumps({**fields, ("J_regressor" if form.startswith("field") else "notes"): Call(marker)})
        )
    with pytest.raises(UserError) as error:
        read_flame(path)
    assert error.value.code == "flame_unsafe" and "system" in error.value.message
    assert not marker.exists()


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    """The sizes that it claims count before anything is unpacked."""
    path = tmp_path / "bomb.npz"
    write_npz(make_tiny_flame(), path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # the unpacked size in the archive's directory
    data[at : at + 4] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="unpack") as error:
        read_flame(path)
    assert error.value.code == "flame_unreadable"


def small_files() -> dict[str, bytes]:
    fields = make_tiny_flame()
    fields["shapedirs"] = fields["shapedirs"].astype(np.float16)
    file = io.BytesIO()
    np.savez(file, **{**fields, "J_regressor": sp.csc_matrix(fields["J_regressor"])})
    return {"a.pkl": chumpy_pickle(fields), "b.pkl": plain_pickle(fields), "c.npz": file.getvalue()}


FILES = small_files()


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(FILES)), share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(name: str, share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(FILES[name][: int(share * len(FILES[name]))])
    with pytest.raises(UserError):
        read_flame(path)


STRUCTURE = {name: [k for k in range(len(data)) if not 3000 < k < len(data) - 6000] for name, data in FILES.items()}
FLIPS = st.sampled_from(sorted(FILES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(st.tuples(st.sampled_from(STRUCTURE[name]), st.integers(1, 255)), min_size=1, max_size=3),
    )
)


@settings(max_examples=300, deadline=None)
@given(FLIPS)
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, list[tuple[int, int]]]
) -> None:
    name, flips = damage
    data = bytearray(FILES[name])
    for at, bits in flips:
        data[at] ^= bits
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    try:
        source = read_flame(path)
    except UserError as error:
        assert error.code in {"flame_field", "flame_unreadable", "flame_unsafe"} and str(path) in error.message
    else:
        assert np.isfinite(source.template).all() and source.shape_basis.shape == (300, 12, 3)
