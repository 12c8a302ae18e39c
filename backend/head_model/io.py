"""Heads on disk: one compressed npz with a JSON header, never pickled; large bases as float16."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_arrays
from backend.head_model.dense_points import DERIVED
from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints
from backend.head_model.quads import fault_of
from backend.reading import FileFault, parse_json, shown

FORMAT = "flowface-head"
VERSION = 1
MAX_ARRAY_BYTES = 512 << 20
"""Unpacked, of which the bases, float16, become twice as much. FLAME has 20 MB, ICT-FaceKit 25, the open head 6."""

LARGEST = 100.0
"""Metres, weights and places on the atlas: none is as large."""
SMALLEST = 1e-3
"""Metres that a head measures at least."""

_HALF = ("shape_basis", "expression_basis")
_FLOATS = (
    "template",
    "expression_bounds",
    "uv",
    "uv_vertices",
    "joint_regressor",
    "skinning_weights",
    "vertex_weight",
)
_INTEGERS = ("triangles", "uv_triangles", "parents")


def save_head(head: HeadModel, path: Path) -> None:
    """Write a head to ``path`` (.npz).

    The bases are stored as float16, each divided by one power of two so that its rounding stays below 2⁻¹¹ of each
    value and small offsets do not underflow; everything else is float32 or int32.
    """
    scales = {name: _half_scale(getattr(head, name)) for name in _HALF}
    arrays: dict[str, NDArray[Any]] = {name: (getattr(head, name) / scales[name]).astype(np.float16) for name in _HALF}
    arrays |= {name: np.asarray(getattr(head, name), np.float32) for name in _FLOATS}
    arrays |= {name: np.asarray(getattr(head, name), np.int32) for name in _INTEGERS}
    arrays |= {f"region.{name}": np.asarray(mask, bool) for name, mask in head.regions.items()}
    for name, points in head.landmarks.items():
        if name in DERIVED:
            continue  # follows from the rest, and is made anew when the head is loaded
        arrays[f"landmark.{name}.triangle"] = np.asarray(points.triangle, np.int32)
        arrays[f"landmark.{name}.barycentric"] = np.asarray(points.barycentric, np.float32)
    if len(head.quads):
        arrays["quads"] = np.asarray(head.quads, np.int32)
    if head.action_names:
        scales["action_basis"] = _half_scale(head.action_basis)
        arrays["action_basis"] = (head.action_basis / scales["action_basis"]).astype(np.float16)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "id": head.id,
        "expression_names": list(head.expression_names),
        "action_names": list(head.action_names),
        "scales": scales,
        "licence": head.licence,
        "provenance": dict(head.provenance),
    }
    arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_head(path: Path) -> HeadModel:
    """Read a head that ``save_head`` wrote.

    Raises ``UserError``: ``head_missing`` (no such file), ``head_unreadable`` (not such a file, or damaged),
    ``head_version`` (written by a newer FlowFace), ``head_inconsistent`` (arrays that do not belong together).
    """
    try:
        arrays = read_arrays(path, MAX_ARRAY_BYTES)
        header = parse_json(arrays.pop("header").tobytes())
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"its header does not say {FORMAT}")
        if header["version"] > VERSION:
            raise UserError(
                ErrorCode.HEAD_VERSION,
                f"The head file {path} has version {header['version']}; this FlowFace reads up to {VERSION}.",
                "Update FlowFace.",
            )
        head = _assemble(arrays, header)
    except FileFault as fault:
        if fault.missing:
            raise UserError(
                ErrorCode.HEAD_MISSING,
                f"The head file {shown(path)} does not exist.",
                "List the heads: flowface head list.",
            ) from fault
        raise _unreadable(path, fault) from fault
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _unreadable(path, error) from error
    contradiction = inconsistency(head)
    if contradiction:
        raise UserError(
            ErrorCode.HEAD_INCONSISTENT,
            f"The head file {path} is inconsistent: {contradiction}.",
            "Add the head again.",
        )
    return head


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        ErrorCode.HEAD_UNREADABLE,
        f"The head file {shown(path)} is not a FlowFace head or is damaged ({error}).",
        "Add the head again, or build it: flowface head build.",
    )


def inconsistency(head: HeadModel) -> str:
    """A contradiction of the HeadModel contract, in words; empty where there is none."""
    vertices, faces, atlas = len(head.template), len(head.triangles), len(head.uv_vertices)
    expressions = len(head.expression_names)
    expected = {
        "template": (vertices, 3),
        "shape_basis": (len(head.shape_basis), vertices, 3),
        "expression_basis": (expressions, vertices, 3),
        "expression_bounds": (expressions, 2),
        "triangles": (faces, 3),
        "uv": (vertices, 2),
        "uv_vertices": (atlas, 2),
        "uv_triangles": (faces, 3),
        "joint_regressor": (len(JOINT_NAMES), vertices),
        "skinning_weights": (vertices, len(JOINT_NAMES)),
        "parents": (len(JOINT_NAMES),),
        "vertex_weight": (vertices,),
    }
    if head.action_names:
        expected["action_basis"] = (len(head.action_names), vertices, 3)
    elif head.action_basis.size:
        return f"action_basis has shape {head.action_basis.shape}, but no action is named"
    for name, shape in expected.items():
        array = getattr(head, name)
        if array.shape != shape:
            return f"{name} has shape {array.shape}, expected {shape}"
        if array.dtype.kind == "f" and name != "expression_bounds":
            if not np.isfinite(array).all():
                return f"{name} holds values that are not finite"
            if np.abs(array).max(initial=0.0) > LARGEST:
                return f"{name} holds values beyond {LARGEST:g}"
    if not vertices or not faces:
        return "it has no vertices or no triangles"
    low, high = head.expression_bounds.T
    if not (low <= high).all():
        return "expression_bounds has bounds that are none"
    if not all(-1 <= parent < joint for joint, parent in enumerate(head.parents.tolist())):
        return "parents names a joint that comes later"
    if np.ptp(head.template, axis=0).max() < SMALLEST:
        return "all vertices of template are at one place"
    for name, array, bound in (("triangles", head.triangles, vertices), ("uv_triangles", head.uv_triangles, atlas)):
        if array.size and (array.min() < 0 or array.max() >= bound):
            return f"{name} points outside 0…{bound - 1}"
    return (
        _mask_fault(head.regions, vertices)
        or _landmark_fault(head.landmarks, faces)
        or fault_of(head.quads, head.triangles, head.uv_triangles)
    )


def _mask_fault(regions: Mapping[str, NDArray[np.bool_]], vertices: int) -> str:
    for name, mask in regions.items():
        if mask.shape != (vertices,) or mask.dtype != np.bool_:
            return f"region {name} is {mask.dtype} {mask.shape}, expected bool {(vertices,)}"
    return ""


def _landmark_fault(landmarks: Mapping[str, SurfacePoints], faces: int) -> str:
    for name, points in landmarks.items():
        count = len(points.triangle)
        if points.triangle.shape != (count,) or points.barycentric.shape != (count, 3):
            return f"landmarks {name} have shapes {points.triangle.shape} and {points.barycentric.shape}"
        if count and (points.triangle.min() < 0 or points.triangle.max() >= faces):
            return f"landmarks {name} point outside the {faces} triangles"
        if not np.allclose(points.barycentric.sum(axis=1), 1, atol=1e-3):
            return f"landmarks {name} have barycentric weights that do not sum to 1"
    return ""


def _half_scale(array: NDArray[np.floating[Any]]) -> float:
    peak = float(np.abs(array).max()) if array.size else 0.0
    return float(2.0 ** np.ceil(np.log2(peak / 1024))) if peak > 0 else 1.0


def _assemble(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> HeadModel:
    scales = header["scales"]
    numbers: dict[str, Any] = {
        **{name: arrays[name].astype(np.float32) * np.float32(scales[name]) for name in _HALF},
        **{name: arrays[name].astype(np.float32) for name in _FLOATS},
        **{name: arrays[name].astype(np.int32) for name in _INTEGERS},
    }
    if "quads" in arrays:
        numbers["quads"] = arrays["quads"].astype(np.int32)
    actions: dict[str, Any] = {"action_names": tuple(str(name) for name in header.get("action_names", ()))}
    if actions["action_names"]:
        basis = arrays["action_basis"].astype(np.float32) * np.float32(scales["action_basis"])
        actions["action_basis"] = basis
    landmarks = {
        name.removeprefix("landmark.").removesuffix(".triangle"): SurfacePoints(
            arrays[name].astype(np.int32), arrays[name.removesuffix("triangle") + "barycentric"].astype(np.float32)
        )
        for name in arrays
        if name.startswith("landmark.") and name.endswith(".triangle")
    }
    return HeadModel(
        id=str(header["id"]),
        expression_names=tuple(str(name) for name in header["expression_names"]),
        regions={name.removeprefix("region."): mask for name, mask in arrays.items() if name.startswith("region.")},
        landmarks=landmarks,
        licence=str(header["licence"]),
        provenance={str(k): str(v) for k, v in header["provenance"].items()},
        **numbers,
        **actions,
    )
