"""FLAME (Li et al. 2017, "Learning a model of facial shape and expression from 4D scans") as a source head.

Accepted: FLAME 2020, 2023 and 2023 Open, with or without a jaw joint in use, as .pkl or .npz. All have the same fields;
the fit keeps root, neck and jaw poses at zero (seeds/001 §3.2.1), so the expressions must carry the jaw. The "no jaw"
files were trained so, but hold the same joints and weights as the others. What tells them apart is measured: whether
the 100 expressions themselves can open the jaw as the jaw joint does. Where they can't, columns are added that do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from backend.errors import ErrorCode, UserError
from backend.head_model.converters.flame_file import EXPRESSIONS, JOINTS, SHAPES, FlameArrays, read_flame_file
from backend.head_model.registration.types import SourceHead

FloatArray = NDArray[np.float64]

JAW, LEFT_EYE, RIGHT_EYE = 2, 3, 4

JAW_COLUMNS = ("jaw_open", "jaw_arc", "jaw_left")
_OPEN_UNIT, _ARC_UNIT, _LEFT_UNIT = 0.15, 0.45, 0.06  # radians at coefficient 1: speech, a wide yawn, a usual shift
_JAW_BOUNDS = ((-0.3, 4.0), (0.0, 2.0), (-3.0, 3.0))  # the jaw opens to 0.6 rad and shifts by 0.18
_OPENINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # radians about +x
_SHIFTS = (-0.12, 0.0, 0.12)  # radians about +y

CARRIED = 0.25
"""The share of a jaw opening that expressions may miss and still count as carrying the jaw; a skinned jaw is not quite
a real one, so expressions that do carry it miss some. Columns that are added without need cost little (the prior shares
the motion out), missing ones keep the mouth shut: hence on the low side. Made from the actions of the open head's
first edition, expressions with the jaw miss 0.20 and those without it 0.50."""

_PROBE = 0.25  # radians: the opening that expressions are tested with
_EXPRESSION_NOISE = 1e-3  # m: how exactly, against unit-normal coefficients


def read_flame(path: Path) -> SourceHead:
    """A FLAME file as a source head: 300 shapes, 100 expressions and, where those lack it, the jaw's motion.

    Expressions are called ``expression_000`` … ``expression_099`` and are free; their coefficients have a unit normal
    prior, as the shapes' have. ``jaw_open`` (0.15 rad at 1), ``jaw_arc`` (what a wide opening's arc adds, 1 at
    0.45 rad) and ``jaw_left`` (0.06 rad at 1) follow where the expressions do not carry the jaw. Eyeballs turn rigidly.

    Raises ``UserError``: those of ``read_flame_file``, and ``smplx_missing`` without the package smplx.
    """
    flame = read_flame_file(path)
    turned = jaw_offsets(flame, [(_PROBE, 0.0)])[0]
    expressions = np.ascontiguousarray(flame.shapedirs[:, :, SHAPES:].transpose(2, 0, 1))
    missed = share_missed(expressions, turned)
    names = tuple(f"expression_{k:03d}" for k in range(EXPRESSIONS))
    bounds = np.tile([-np.inf, np.inf], (EXPRESSIONS, 1))
    jaw = f"carried by the expressions (they miss {missed:.3f} of it)"
    if missed > CARRIED:
        columns = jaw_columns(flame)
        expressions = np.concatenate([expressions, columns.basis])
        names, bounds = names + JAW_COLUMNS, np.concatenate([bounds, _JAW_BOUNDS])
        jaw = f"{', '.join(JAW_COLUMNS)} within {1000 * columns.worst:.2f} mm (expressions miss {missed:.3f} of it)"
    return SourceHead(
        id=re.sub(r"[^a-z0-9_-]+", "_", path.stem.lower()).strip("_") or "flame",
        template=flame.v_template.astype(np.float32),
        triangles=flame.f,
        shape_basis=np.ascontiguousarray(flame.shapedirs[:, :, :SHAPES].transpose(2, 0, 1), np.float32),
        expression_basis=expressions.astype(np.float32),
        expression_names=names,
        expression_bounds=bounds.astype(np.float32),
        licence=_licence(path),
        provenance={"file": path.name, "sha256": flame.sha256, "smplx": version("smplx"), "jaw": jaw},
        joint_regressor=flame.J_regressor.astype(np.float32),
        skinning_weights=rigid_eyes(path, flame).astype(np.float32),
        parents=flame.parents.astype(np.int32),
    )


def _licence(path: Path) -> str:
    if "open" in path.stem.lower():
        return "CC-BY-4.0 (FLAME 2023 Open, Max Planck Institute for Intelligent Systems)"
    return f"the licence of {path.name}, see https://flame.is.tue.mpg.de/modellicense.html"


def jaw_offsets(flame: FlameArrays, poses: list[tuple[float, float]]) -> FloatArray:
    """Offsets (P,V,3) in metres of the mean face at jaw poses (about +x: opening, about +y: to the subject's left).

    Evaluated by smplx's linear blend skinning, pose correctives included, in radians of its axis-angle vector.
    """
    import torch

    skin = _skinning()
    pose = torch.zeros((len(poses), 3 * JOINTS), dtype=torch.float64)
    pose[:, 3 * JAW : 3 * JAW + 2] = torch.as_tensor(poses, dtype=torch.float64)
    template = torch.as_tensor(flame.v_template)
    with torch.no_grad():
        vertices, _ = skin(
            torch.zeros((len(poses), 1), dtype=torch.float64),
            pose,
            template,
            torch.zeros((*template.shape, 1), dtype=torch.float64),
            torch.as_tensor(flame.posedirs.reshape(-1, flame.posedirs.shape[2]).T.copy()),
            torch.as_tensor(flame.J_regressor),
            torch.as_tensor(flame.parents),
            torch.as_tensor(flame.weights),
        )
    return (vertices - template).numpy()


def _skinning() -> Callable[..., Any]:
    try:
        from smplx.lbs import lbs
    except ImportError as error:
        raise UserError(
            ErrorCode.SMPLX_MISSING,
            "Converting a FLAME file needs the Python package smplx, which is not installed here.",
            "Install FlowFace's extra `flame`; smplx's licence allows non-commercial research only.",
        ) from error
    return lbs


def share_missed(expressions: FloatArray, turned: FloatArray) -> float:
    """The share (0 to 1, root mean square) of a jaw opening (V,3) that expressions (K,V,3) cannot make.

    The coefficients are the most probable ones under a unit normal prior and 1 mm of noise. Where the jaw joint moves
    nothing, nothing is missed.
    """
    length = np.linalg.norm(turned, axis=1)
    if length.max(initial=0.0) < 1e-4:
        return 0.0
    moving = length > 0.2 * length.max()
    basis, target = expressions[:, moving].reshape(len(expressions), -1), turned[moving].ravel()
    normal = basis @ basis.T + _EXPRESSION_NOISE**2 * np.eye(len(basis))
    rest = target - np.linalg.solve(normal, basis @ target) @ basis
    return float(np.linalg.norm(rest) / np.linalg.norm(target))


@dataclass(frozen=True, eq=False)
class JawColumns:
    """Expressions that move the jaw: ``basis (3,V,3)`` in metres, in the order of ``JAW_COLUMNS``."""

    basis: FloatArray
    worst: float  # m; the largest distance of any vertex from the skinned pose over the usual poses


def jaw_columns(flame: FlameArrays) -> JawColumns:
    """The jaw's motion as linear columns: least squares over its usual poses, in the opening θ, θ² and the shift ψ.

    A rotation by θ moves the chin along an arc of 9 cm radius, which no single column can follow: θ and θ² together
    leave a fraction of a millimetre where θ alone leaves several.
    """
    poses = [(opening, shift) for opening in _OPENINGS for shift in _SHIFTS]
    offsets = jaw_offsets(flame, poses)
    coefficients = np.array([jaw_coefficients(*pose) for pose in poses])
    basis = np.linalg.lstsq(coefficients, offsets.reshape(len(poses), -1), rcond=None)[0]
    rest = (coefficients @ basis).reshape(offsets.shape) - offsets
    return JawColumns(basis.reshape(len(JAW_COLUMNS), -1, 3), float(np.linalg.norm(rest, axis=2).max()))


def jaw_coefficients(opening: float, shift: float) -> tuple[float, float, float]:
    """The coefficients of ``JAW_COLUMNS`` for a jaw pose in radians (about +x and +y)."""
    return opening / _OPEN_UNIT, (opening / _ARC_UNIT) ** 2, shift / _LEFT_UNIT


def rigid_eyes(path: Path, flame: FlameArrays) -> FloatArray:
    """Skinning weights (V,5) in which each eyeball, a part of the mesh by itself, follows its eye joint alone.

    Raises ``UserError`` ``flame_field`` where no part follows an eye.
    """
    count = len(flame.v_template)
    edges = np.concatenate([flame.f[:, [0, 1]], flame.f[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    weights = flame.weights.copy()
    for eye, side in ((LEFT_EYE, "left"), (RIGHT_EYE, "right")):
        share = np.bincount(part, weights[:, eye], parts) / np.bincount(part, minlength=parts)
        ball = (share > 0.5)[part]
        if not ball.any():
            raise UserError(
                ErrorCode.FLAME_FIELD,
                f"The field weights of {path} does not fit FLAME: no separate part of the mesh follows the {side} eye.",
                "Eyeballs were expected as parts of their own, as in the files from https://flame.is.tue.mpg.de.",
            )
        weights[:, eye] = 0.0
        weights[ball] = np.eye(JOINTS)[eye]
    total = weights.sum(axis=1, keepdims=True)
    return np.where(total > 1e-6, weights / np.maximum(total, 1e-6), np.eye(JOINTS)[1])
