"""The demands on a source before registration, and on a registration before its head may be used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.model import JOINT_NAMES
from backend.head_model.registration.types import RegistrationReport, SourceHead
from protocol.face_actions import ARKIT_ACTIONS

MAX_VERTICES = 500_000

# About ten times what ICT-FaceKit reaches; by then a texture is visibly off its place.
LIMITS = {
    "surface_mean_mm": (1.0, "mm mean distance between the surfaces of the face"),
    "surface_p95_mm": (3.0, "mm distance between the surfaces of 95 % of the face"),
    "landmark_mean_mm": (6.0, "mm mean distance between corresponding landmarks"),
    "flipped_surface": (0.03, "of the face's triangles turned over"),
    "flipped_atlas": (0.10, "of the face's triangles turned over in the atlas"),
}
LEAST_CORRESPONDING = 0.8


def require_usable(name: str, figures: RegistrationReport) -> None:
    """Raises ``UserError`` ``registration_poor``, naming the worst figure."""
    for field, (limit, what) in LIMITS.items():
        value = getattr(figures, field)
        if not value <= limit:
            _refuse(name, f"{value:.3g} {what}, where at most {limit:g} is usable")
    if figures.corresponding < LEAST_CORRESPONDING:
        _refuse(
            name,
            f"{figures.corresponding:.0%} of its face and ears lie on the open head's, where at least "
            f"{LEAST_CORRESPONDING:.0%} is usable",
        )


def _refuse(name: str, reason: str) -> None:
    raise UserError(
        ErrorCode.REGISTRATION_POOR,
        f"The head {name} could not be registered: {reason}.",
        "Is its template a neutral face with closed lips and open eyes?",
    )


def source_fault(source: SourceHead) -> str:
    """A contradiction of the ``SourceHead`` contract, in words; empty where there is none."""
    count, faces, expressions = len(source.template), len(source.triangles), len(source.expression_names)
    if not 100 <= count <= MAX_VERTICES:
        return f"it has {count} vertices, expected 100 to {MAX_VERTICES}"
    expected = {
        "template": (count, 3),
        "triangles": (faces, 3),
        "shape_basis": (len(source.shape_basis), count, 3),
        "expression_basis": (expressions, count, 3),
        "expression_bounds": (expressions, 2),
        "joint_regressor": (len(JOINT_NAMES), count),
        "skinning_weights": (count, len(JOINT_NAMES)),
        "parents": (len(JOINT_NAMES),),
    }
    expected |= {f"action {name}": (count, 3) for name in source.actions}
    expected |= {f"region {name}": (count,) for name in source.regions}
    for name, shape in expected.items():
        fault = _array_fault(name, _named(source, name), shape)
        if fault:
            return fault
    if not faces or source.triangles.min() < 0 or source.triangles.max() >= count:
        return f"its triangles point outside its {count} vertices"
    if len(set(source.expression_names)) != expressions:
        return "two of its expressions have the same name"
    unknown = sorted(set(source.actions) - set(ARKIT_ACTIONS))
    return f"{unknown[0]} is not an ARKit action" if unknown else ""


def _named(source: SourceHead, name: str) -> NDArray[Any] | None:
    kind, _, rest = name.partition(" ")
    if kind == "action":
        return source.actions[rest]
    if kind == "region":
        return source.regions[rest]
    value: NDArray[Any] | None = getattr(source, name)
    return value


def _array_fault(name: str, array: NDArray[Any] | None, shape: tuple[int, ...]) -> str:
    if array is None:
        return ""
    if array.shape != shape:
        return f"{name} has shape {array.shape}, expected {shape}"
    if array.dtype.kind == "f" and name != "expression_bounds" and not np.isfinite(array).all():
        return f"{name} holds values that are not finite"
    return ""
