"""Files in FLAME's exact format, made from the open head: 5,023 vertices, 9,976 triangles, 300 shapes, 100 expressions.

FLAME's own files may not be shipped with tests. These hold another person (the open head's mean moved along its
identities, its vertices in another order) with other actions (its first edition's), so that registration has something
to find.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from protocol.face_actions import ARKIT_ACTIONS

VERTICES, TRIANGLES = 5023, 9976
JAW_ACTIONS = ("jawOpen", "jawLeft", "jawRight")
ORIGIN = np.array([0.0, 0.021, -0.013])  # m; FLAME's origin is not the open head's

Fields = dict[str, Any]


@dataclass(frozen=True, eq=False)
class MadeFlame:
    """A made FLAME: its fields by FLAME's names, and how it came from the open head."""

    fields: Fields
    mapping: sp.csr_matrix  # (5023,V) vertices of the open head (as displacements) to this one's
    actions: tuple[str, ...]  # (A) the actions that its expressions span
    mixture: NDArray[np.float64]  # (100,A) expression = mixture @ actions


def make_flame(*, jaw: bool = True, seed: int = 20) -> MadeFlame:
    """Fields of a FLAME whose expressions leave the jaw to its joint (2020, 2023) or, ``jaw=False``, carry it."""
    head = load_head("open1")
    rng = np.random.default_rng(seed)
    mapping, triangles = _flame_mesh(head, rng)
    actions = tuple(name for name in ARKIT_ACTIONS if not (jaw and name in JAW_ACTIONS))
    mixture = np.zeros((100, len(actions)))
    mixture[: len(actions)] = np.linalg.qr(rng.normal(size=(len(actions), len(actions))))[0]
    mixture[len(actions) :] = 0.02 * rng.normal(size=(100 - len(actions), len(actions)))
    action_basis = _mapped(mapping, head.expression_basis[[head.expression_names.index(name) for name in actions]])
    shapes = _mapped(mapping, head.shape_basis)
    more = np.einsum("ks,svc->kvc", 0.01 * rng.normal(size=(300 - len(shapes), len(shapes))), shapes)
    basis = np.concatenate([shapes, more, np.einsum("ka,avc->kvc", mixture, action_basis)])
    identity = np.where(np.arange(len(shapes)) < 12, rng.normal(size=len(shapes)), 0.0)
    template = mapping @ head.neutral(identity.astype(np.float32)) + ORIGIN
    weights = mapping @ head.skinning_weights.astype(np.float64)
    regressor = _regressor(head, mapping)
    fields: Fields = {
        "v_template": template,
        "f": triangles.astype(np.uint32),
        "shapedirs": np.ascontiguousarray(basis.transpose(1, 2, 0)),
        "posedirs": _jaw_correctives(weights[:, 2]),
        "J_regressor": sp.csc_matrix(regressor),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "J": regressor @ template,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    return MadeFlame(fields, mapping, actions, mixture)


def _mapped(mapping: sp.csr_matrix, basis: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([mapping @ row.astype(np.float64) for row in basis])


Rows = list[dict[int, float]]
Triangle = tuple[int, int, int]


def _flame_mesh(head: HeadModel, rng: np.random.Generator) -> tuple[sp.csr_matrix, NDArray[np.int64]]:
    """Outer skin and eyeballs of the open head, its mouth and eyes closed by fans, refined to FLAME's counts, shuffled.

    FLAME has neither mouth bag nor eye sockets.
    """
    skin = head.regions["skin"] & ~head.regions["mouth_bag"] & ~head.regions["eye_sockets"]
    kept = skin | head.regions["left_eyeball"] | head.regions["right_eyeball"]
    used = head.triangles[kept[head.triangles].all(axis=1)]
    source = np.unique(used)
    rows: Rows = [{int(v): 1.0} for v in source]
    triangles: list[Triangle] = [(int(a), int(b), int(c)) for a, b, c in np.searchsorted(source, used)]
    for loop in _border_loops(triangles):
        middle = [rows[v] for v, _ in loop]
        if np.mean([head.template[next(iter(row)), 1] for row in middle]) > -0.1:  # the neck stays open
            centre = len(rows)
            rows.append(_mean(middle))
            triangles += [(b, a, centre) for a, b in loop]
    for edge in [_border_loops(triangles)[0][k] for k in (0, 7)]:
        _split(rows, triangles, edge)
    while len(rows) < VERTICES:
        _split_longest(head, rows, triangles, VERTICES - len(rows))
    assert (len(rows), len(triangles)) == (VERTICES, TRIANGLES), (len(rows), len(triangles))
    place = rng.permutation(len(rows))
    entries = [(place[k], v, share) for k, row in enumerate(rows) for v, share in row.items()]
    row, column, share = (np.array(part) for part in zip(*entries, strict=True))
    return sp.csr_matrix((share, (row, column)), shape=(len(rows), len(kept))), place[np.array(triangles)]


def _mean(rows: Rows) -> dict[int, float]:
    mean: dict[int, float] = {}
    for row in rows:
        for vertex, share in row.items():
            mean[vertex] = mean.get(vertex, 0.0) + share / len(rows)
    return mean


def _edges(triangles: list[Triangle]) -> dict[tuple[int, int], int]:
    """Each directed edge's triangle."""
    return {edge: k for k, (a, b, c) in enumerate(triangles) for edge in ((a, b), (b, c), (c, a))}


def _border_loops(triangles: list[Triangle]) -> list[list[tuple[int, int]]]:
    edges = _edges(triangles)
    follow = {a: b for a, b in edges if (b, a) not in edges}
    loops = []
    while follow:
        at = next(iter(follow))
        loop = []
        while at in follow:
            loop.append((at, follow[at]))
            at = follow.pop(at)
        loops.append(loop)
    return loops


def _split(rows: Rows, triangles: list[Triangle], edge: tuple[int, int]) -> None:
    """Put a vertex in the middle of an edge and halve the triangles on both its sides."""
    edges = _edges(triangles)
    rows.append(_mean([rows[v] for v in edge]))
    for a, b in (edge, edge[::-1]):
        at = edges.get((a, b))
        if at is not None:
            c = next(v for v in triangles[at] if v not in edge)
            triangles[at] = (a, len(rows) - 1, c)
            triangles.append((len(rows) - 1, b, c))


def _split_longest(head: HeadModel, rows: Rows, triangles: list[Triangle], most: int) -> None:
    """Split up to ``most`` of the longest inner edges of which no two bound one triangle."""
    position = np.array([sum(share * head.template[v] for v, share in row.items()) for row in rows])
    edges = _edges(triangles)
    inner = [edge for edge in edges if edge[0] < edge[1] and edge[::-1] in edges]
    length = {edge: float(np.linalg.norm(position[edge[0]] - position[edge[1]])) for edge in inner}
    free = np.ones(len(triangles), bool)
    chosen: list[tuple[tuple[int, int], list[int]]] = []
    for edge in sorted(inner, key=length.__getitem__, reverse=True)[: len(inner) // 8]:
        sides = [edges[edge], edges[edge[::-1]]]
        if len(chosen) < most and free[sides].all():
            free[sides] = False
            chosen.append((edge, sides))
    for (a, b), sides in chosen:
        rows.append(_mean([rows[a], rows[b]]))
        for (first, second), at in zip(((a, b), (b, a)), sides, strict=True):
            c = next(v for v in triangles[at] if v not in (a, b))
            triangles[at] = (first, len(rows) - 1, c)
            triangles.append((len(rows) - 1, second, c))


def _regressor(head: HeadModel, mapping: sp.csr_matrix) -> NDArray[np.float64]:
    """The open head's joint regressor on the kept vertices themselves (rows of the mapping with a single entry)."""
    own = np.flatnonzero(np.diff(mapping.indptr) == 1)
    regressor = np.zeros((5, mapping.shape[0]))
    regressor[:, own] = head.joint_regressor[:, mapping[own].indices]
    return regressor / regressor.sum(axis=1, keepdims=True)


def _jaw_correctives(jaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pose correctives that pull what half follows the jaw back by some millimetres as it opens."""
    correctives = np.zeros((len(jaw), 3, 36))
    correctives[:, 2, 9 + 5] = 0.02 * jaw * (1 - jaw)  # on −sin θ of the jaw's rotation about x
    return correctives


def make_tiny_flame() -> Fields:
    """Fields of a consistent FLAME of 3 tetrahedra (a head and two eyeballs), for tests of reading alone."""
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    centres = np.array([[0, 0, 0], [0.03, 0.03, 0.05], [-0.03, 0.03, 0.05]])
    rng = np.random.default_rng(1)
    follows = np.repeat([1, 3, 4], 4)
    regressor = np.zeros((5, 12))
    for joint, part in enumerate((0, 0, 0, 1, 2)):
        regressor[joint, 4 * part : 4 * part + 4] = 0.25
    return {
        "v_template": (corners[None] * np.array([0.1, 0.01, 0.01])[:, None, None] + centres[:, None]).reshape(12, 3),
        "f": np.concatenate([faces + 4 * part for part in range(3)]).astype(np.uint32),
        "shapedirs": 0.001 * rng.normal(size=(12, 3, 400)),
        "posedirs": np.zeros((12, 3, 36)),
        "J_regressor": sp.csc_matrix(regressor),
        "weights": np.eye(5)[follows],
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "bs_style": "lbs",
    }


_PYTHON_PICKLER: Any = pickle._Pickler  # the one whose opcodes can be chosen


class _Python2Pickler(_PYTHON_PICKLER):  # type: ignore[misc]
    """Writes protocol 2 as Python 2 did: strings and array contents as byte strings, scipy's old module names."""

    dispatch: ClassVar[dict[type, Any]] = dict(_PYTHON_PICKLER.dispatch)

    def _save_text(self, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        head = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + len(data).to_bytes(4, "little")
        self.write(head + data)
        self.memoize(value)

    dispatch[str] = _save_text
    dispatch[bytes] = _save_text

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is sp.csc_matrix:
            self.write(b"cscipy.sparse.csc\ncsc_matrix\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[type] = save_global
    dispatch[types.FunctionType] = save_global


@contextlib.contextmanager
def _chumpy() -> Iterator[types.SimpleNamespace]:
    """Classes that pickle under chumpy's names, as long as it lasts; chumpy itself is not installed."""
    ch, reordering = types.ModuleType("chumpy.ch"), types.ModuleType("chumpy.reordering")
    ch.Ch = type("Ch", (), {"__module__": "chumpy.ch"})  # type: ignore[attr-defined]
    reordering.Select = type("Select", (), {"__module__": "chumpy.reordering"})  # type: ignore[attr-defined]
    modules = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": ch, "chumpy.reordering": reordering}
    sys.modules.update(modules)
    try:
        yield types.SimpleNamespace(Ch=ch.Ch, Select=reordering.Select)
    finally:
        for name in modules:
            del sys.modules[name]


def chumpy_pickle(fields: Fields) -> bytes:
    """FLAME 2020's form: protocol 2 of Python 2, chumpy arrays (one of them a selection), a sparse regressor."""
    with _chumpy() as chumpy:

        def wrap(array: NDArray[Any]) -> Any:
            value = chumpy.Ch()
            value.__dict__.update(x=array, _dirty_vars=set(), _itr=None, _depends_on_deps={}, _status="new")
            return value

        select = chumpy.Select()
        shapedirs = fields["shapedirs"]
        index = np.arange(shapedirs.size, dtype=np.int32)
        select.__dict__.update(a=wrap(shapedirs), idxs=index, preferred_shape=shapedirs.shape)
        wrapped = {name: wrap(fields[name]) for name in ("v_template", "posedirs", "weights")}
        file = io.BytesIO()
        _Python2Pickler(file, 2).dump({**fields, **wrapped, "shapedirs": select})
    return file.getvalue()


def plain_pickle(fields: Fields, protocol: int = 2) -> bytes:
    """FLAME 2023's form: plain numpy arrays and a sparse regressor."""
    return pickle.dumps(fields, protocol=protocol)


def write_npz(fields: Fields, path: Path, *, dense: bool = True) -> None:
    """The npz that people convert FLAME to; ``dense=False`` leaves the regressor a pickled sparse matrix."""
    arrays = {**fields, "J_regressor": fields["J_regressor"].toarray() if dense else fields["J_regressor"]}
    np.savez(path, **arrays)
