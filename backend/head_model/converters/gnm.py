"""GNM Head (Google, Apache-2.0): ``gnm_head.npz`` of https://github.com/google/GNM, version 3.

Ploumpis et al. 2026, "GNM Head: A Generative aNthropometric Model of the human head". The archive's arrays that are
used, with V vertices (17,821 in version 3.0), I identities (253), E expressions (383), Q quads, T = 2Q triangles and G
groups:

- ``version``, ``variant``: texts, "3.0" and "head";
- ``template_vertex_positions (V,3)``: metres, +x the subject's left, +y up, +z out of the face;
- ``vertex_identity_basis (I,V,3)``, ``expression_basis (E,V,3)``, ``expression_names (E)``: metres per coefficient,
  whose prior is a unit normal; the expressions open the mouth themselves, as there is no jaw joint;
- ``triangles (T,3)``, ``quads (Q,4)``;
- ``vertex_groups (G,V)`` in 0…1 and ``vertex_group_names (G)``.

Its pose correctives and its joints (neck, head and eyes) are left out: the fit turns nothing but eyeballs, about their
own centres, which registration finds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_arrays
from backend.head_model.converters.obj import FURTHEST
from backend.head_model.quads import halves_of, kept_pairs
from backend.head_model.registration.types import SourceHead
from backend.reading import FileFault, shown

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]

LICENCE = "Apache-2.0 (GNM Head, Google)"
MAX_BYTES = 1 << 30
"""Of all arrays; those of version 3.0 have some 160 MB."""
STILL = 1e-7
"""m. What moves no vertex by more moves none: GNM's pupils open behind the cornea, which alone is kept of an eye."""
HEAD_SIZES = (0.15, 0.8)
"""m, from crown to the end of the neck or the shoulders."""

_HINT = "Give gnm_head.npz, version 3, as https://github.com/google/GNM publishes it."
_TEXTS = {"version": 0, "variant": 0, "expression_names": 1, "vertex_group_names": 1}
_NUMBERS = {
    "template_vertex_positions": "f",
    "vertex_identity_basis": "f",
    "expression_basis": "f",
    "vertex_groups": "bf",
    "triangles": "iu",
    "quads": "iu",
}
_GROUPS = ("skin", "left_eye", "right_eye", "upper_teeth_and_gums", "lower_teeth_and_gums", "tongue")
"""GNM's mesh components: every vertex is in one of them."""


def read_gnm(path: Path, name: str = "gnm") -> SourceHead:
    """GNM's head as a source head; expressions keep GNM's names and are free.

    Of the eyes the outer shells are kept, as irises are painted onto them here; what moves the inner ones alone goes
    with them. Raises ``UserError`` ``gnm_missing`` (no such file), ``gnm_unreadable`` (no npz, damaged, or without an
    array that is needed), ``gnm_inconsistent`` (arrays that do not belong together or are no head in metres; named).
    """
    data = _read(path)
    _check(path, data)
    regions, kept = _parts(path, data)
    whole = kept[data["triangles"]].all(axis=1)
    triangles = data["triangles"].astype(np.int32)
    number = np.cumsum(kept, dtype=np.int32) - 1
    shapes = _moving(data["vertex_identity_basis"], kept)[0]
    expressions, moving = _moving(data["expression_basis"], kept)
    names = tuple(np.array(data["expression_names"])[moving].tolist())
    return SourceHead(
        id=name,
        template=data["template_vertex_positions"][kept].astype(np.float32),
        triangles=number[triangles[whole]],
        shape_basis=shapes,
        expression_basis=expressions,
        expression_names=names,
        expression_bounds=np.tile(np.array([-np.inf, np.inf], np.float32), (len(names), 1)),
        licence=LICENCE,
        provenance={"source": "GNM Head", "version": str(data["version"]), "file": path.name},
        regions={region: mask[kept] for region, mask in regions.items()},
        quads=kept_pairs(halves_of(data["quads"], triangles), whole),
    )


def _read(path: Path) -> Arrays:
    try:
        data = read_arrays(path, MAX_BYTES, texts=True)
    except FileFault as fault:
        if fault.missing:
            raise UserError(ErrorCode.GNM_MISSING, f"There is no file {shown(path)}.", _HINT) from fault
        raise _unreadable(path, fault.reason) from fault
    for field, kinds in (*((text, "U") for text in _TEXTS), *_NUMBERS.items()):
        if field not in data:
            raise _unreadable(path, f"it has no array {field}")
        if data[field].dtype.kind not in kinds:
            raise _unreadable(path, f"its array {field} holds {data[field].dtype}")
    return data


def _check(path: Path, data: Arrays) -> None:
    for field, axes in _TEXTS.items():
        if data[field].ndim != axes:
            raise _inconsistent(path, f"{field} has shape {data[field].shape}")
    if str(data["variant"]) != "head" or str(data["version"]).split(".")[0] != "3":
        found = f"version {str(data['version'])[:20]} of its variant “{str(data['variant'])[:20]}”"
        raise _inconsistent(path, f"it is {found}, expected version 3 of “head”")
    count = len(data["template_vertex_positions"]) if data["template_vertex_positions"].ndim else 0
    expected = {
        "template_vertex_positions": (count, 3),
        "vertex_identity_basis": (*data["vertex_identity_basis"].shape[:1], count, 3),
        "expression_basis": (len(data["expression_names"]), count, 3),
        "vertex_groups": (len(data["vertex_group_names"]), count),
        "triangles": (*data["triangles"].shape[:1], 3),
        "quads": (*data["quads"].shape[:1], 4),
    }
    for field, shape in expected.items():
        array = data[field]
        if array.shape != shape:
            raise _inconsistent(path, f"{field} has shape {array.shape}, expected {shape}")
        if array.dtype.kind in "iu" and array.size and (array.min() < 0 or array.max() >= count):
            raise _inconsistent(path, f"{field} points outside its {count} vertices")
        if array.dtype.kind == "f" and array.size and not (array.min() > -FURTHEST and array.max() < FURTHEST):
            raise _inconsistent(path, f"{field} holds values that are not finite, or of no head")


def _parts(path: Path, data: Arrays) -> tuple[dict[str, Bools], Bools]:
    """Region masks (V,) by our names, and which vertices are kept."""
    groups = dict(zip(data["vertex_group_names"].tolist(), data["vertex_groups"] > 0.5, strict=True))
    missing = next((name for name in _GROUPS if name not in groups or not groups[name].any()), None)
    if missing is not None:
        raise _inconsistent(path, f"no vertex is in a group {missing}")
    none = np.zeros(len(data["template_vertex_positions"]), bool)
    inner = groups.get("eye_interiors", none)
    dentures = groups["upper_teeth_and_gums"] | groups["lower_teeth_and_gums"]
    gums = dentures & groups.get("gums", none)
    regions = {
        "skin": groups["skin"],
        "mouth_bag": groups["skin"] & groups.get("mouth_sock", none),
        "eye_sockets": groups["skin"] & groups.get("eye_sockets", none),
        "left_eyeball": groups["left_eye"] & ~inner,
        "right_eyeball": groups["right_eye"] & ~inner,
        "teeth": dentures & ~gums,
        "gums": gums,
        "tongue": groups["tongue"],
    }
    _require_head(path, data["template_vertex_positions"], regions)
    kept = np.any(list(regions.values()), axis=0)
    return regions, np.asarray(kept)


def _require_head(path: Path, template: NDArray[Any], regions: dict[str, Bools]) -> None:
    """Refuse a head in other units or axes."""
    size = float(np.ptp(template[regions["skin"], 1]))
    if not HEAD_SIZES[0] < size < HEAD_SIZES[1]:
        raise _inconsistent(path, f"its skin is {size:.3g} high, and a head in metres is 0.2 to 0.5")
    eyes = [template[regions[name]] for name in ("left_eyeball", "right_eyeball")]
    if not all(len(eye) for eye in eyes):
        raise _inconsistent(path, "an eye has no outer shell")
    left, right = (eye.mean(axis=0) for eye in eyes)
    mouth, middle = template[regions["tongue"]].mean(axis=0), template[regions["skin"]].mean(axis=0)
    if not (left[0] > right[0] and left[1] > mouth[1] and left[2] > middle[2]):
        raise _inconsistent(path, "its eyes are not where +x is the subject's left, +y up and +z out of the face")


def _moving(basis: NDArray[Any], kept: Bools) -> tuple[F32, Bools]:
    """The rows (K,V',3) of a basis (N,V,3) that move kept vertices, and which (N,) they are."""
    own = basis[:, kept].astype(np.float32)
    moves = np.array([bool(np.abs(row).max(initial=0.0) > STILL) for row in own], bool)
    return np.ascontiguousarray(own[moves]), moves


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(ErrorCode.GNM_UNREADABLE, f"{shown(path)} is not GNM's archive or is damaged: {reason}.", _HINT)


def _inconsistent(path: Path, reason: str) -> UserError:
    return UserError(ErrorCode.GNM_INCONSISTENT, f"{shown(path)} does not fit GNM's head: {reason}.", _HINT)
