"""The ICT-FaceKit head that the benchmark renders: another topology and other people than the tracker's heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.model import gaze_rotation

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int32]
Bool = NDArray[np.bool_]

EYES = ("eyeball_left", "eyeball_right")

# Transparent in a full renderer: the tear film, shadow cards, and the inner eye seen through a clear cornea. The outer
# eye is drawn opaque, with the iris painted on. Lashes are
# cards that need a transparent texture.
_NOT_DRAWN = ("lacrimal_fluid", "eye_blend", "eye_occlusion", "iris", "eyelashes")

NECK_PIVOT = (0.0, -0.10, -0.01)
"""The point of the template, metres, about which the head turns on the shoulders."""

_HEAD_ABOVE, _SHOULDERS_BELOW = -0.106, -0.15  # y on the template, metres: rigid with the head, rigid with the trunk


@dataclass(frozen=True, eq=False)
class IctHead:
    """The drawn part of ICT-FaceKit, in metres: +x subject's left, +y up, +z out of the face.

    ``template (V,3)``, ``identity_basis (K_id,V,3)``, ``expression_basis (K_ex,V,3)``, ``triangles (F,3)``,
    ``corner_uv (F,3,2)`` in the archive's own tiles (u ≥ 1 is the next tile), ``groups`` vertex masks (V,) by part,
    ``narrow_face (V,)`` without neck and back of the head, ``landmarks68 (68,)`` vertices, ``follows_head (V,)`` 1 on
    the head and 0 on the shoulders, which stay where they are.
    """

    template: F32
    identity_basis: F32
    expression_basis: F32
    expression_names: tuple[str, ...]
    triangles: Int
    corner_uv: F32
    groups: dict[str, Bool]
    narrow_face: Bool
    landmarks68: Int
    follows_head: F32

    def neutral(self, identity: NDArray[np.floating[Any]]) -> F32:
        """Neutral vertices (V,3) of a person with coefficients (K_id,)."""
        return self.template + np.einsum("k,kvc->vc", identity.astype(np.float32), self.identity_basis)


@dataclass(frozen=True, eq=False)
class FaceMotion:
    """The motion of a face at n times.

    ``expression (n,K)`` in 0…1; ``gaze (n,2,2)`` (left, right) × (yaw, pitch) radians in the head; ``rotation (n,3,3)``
    and ``translation (n,3)`` from head space to camera space, metres; ``trunk_rotation (3,3)`` and
    ``trunk_translation (3,)`` the same for the shoulders.
    """

    expression: F32
    gaze: F32
    rotation: F64
    translation: F64
    trunk_rotation: F64
    trunk_translation: F64


def load_ict_head(path: Path) -> IctHead:
    """Read ``ict_facekit.npz``; cached. Raises UserError ``ict_missing`` or ``bad_file``."""
    if not path.is_file():
        raise UserError(
            ErrorCode.ICT_MISSING,
            f"The ICT-FaceKit archive that the benchmark is rendered from is not at {path}.",
            "Say where ict_facekit.npz lies.",
        )
    return _read(path)


@lru_cache(maxsize=1)
def _read(path: Path) -> IctHead:
    try:
        # Names are texts, which the guarded reader refuses; everything else passes through it.
        with np.load(path, allow_pickle=False) as archive:
            names = {
                key: tuple(map(str, archive[key])) for key in ("expression_names", "vertex_group_names", "range_names")
            }
            arrays = {key: archive[key] for key in _NEEDED}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{path} is not the ICT-FaceKit archive: {error}.") from error
    ranges = {
        name: slice(int(a), int(b)) for name, (a, b) in zip(names["range_names"], arrays["vertex_ranges"], strict=True)
    }
    count = len(arrays["neutral"])
    drawn = np.ones(count, bool)
    for name, where in ranges.items():
        if name.startswith(_NOT_DRAWN):
            drawn[where] = False
    renumbered = np.cumsum(drawn, dtype=np.int32) - 1
    kept = drawn[arrays["triangles"]].all(axis=1)
    narrow = np.zeros(count, bool)
    narrow[ranges["narrow_face_area"]] = True
    group = arrays["vertex_group"][drawn]
    return IctHead(
        template=_metres(arrays["neutral"][drawn]),
        identity_basis=_metres(arrays["identity_deltas"][:, drawn]),
        expression_basis=_metres(arrays["expression_deltas"][:, drawn]),
        expression_names=names["expression_names"],
        triangles=renumbered[arrays["triangles"][kept]],
        corner_uv=arrays["uv"][arrays["uv_triangles"][kept]].astype(np.float32),
        groups={name: group == index for index, name in enumerate(names["vertex_group_names"])},
        narrow_face=narrow[drawn],
        landmarks68=renumbered[arrays["landmarks_68"]],
        follows_head=_follows_head(arrays["neutral"][drawn] * 0.01),
    )


_NEEDED = (
    "neutral",
    "identity_deltas",
    "expression_deltas",
    "triangles",
    "uv",
    "uv_triangles",
    "vertex_group",
    "vertex_ranges",
    "landmarks_68",
)


def _follows_head(template: NDArray[np.floating[Any]]) -> F32:
    share = np.clip((template[:, 1] - _SHOULDERS_BELOW) / (_HEAD_ABOVE - _SHOULDERS_BELOW), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _metres(centimetres: NDArray[Any]) -> F32:
    return centimetres.astype(np.float32) * np.float32(0.01)


def eye_centre(neutral: NDArray[np.floating[Any]], eye: Bool) -> F64:
    """Centre (3,) of the sphere through an eye's vertices, by least squares."""
    points = neutral[eye].astype(np.float64)
    matrix = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(matrix, (points**2).sum(axis=1), rcond=None)[0][:3]


def camera_vertices(neutral: F32, basis: F32, eyes: tuple[Bool, Bool], follows_head: F32, motion: FaceMotion) -> F32:
    """Vertices (n,V,3) in camera space: expressions are added, each eye turns about its centre, then the head moves.

    ``basis (K,V,3)``; ``follows_head (V,)`` blends between where the head and where the trunk takes a vertex.
    """
    active = np.flatnonzero(motion.expression.any(axis=0))
    flat = basis[active].reshape(len(active), neutral.size)
    vertices = (motion.expression[:, active] @ flat).reshape(len(motion.expression), *neutral.shape) + neutral
    for side, eye in enumerate(eyes):
        centre = eye_centre(neutral, eye).astype(np.float32)
        turn = gaze_rotation(motion.gaze[:, side]).astype(np.float32)
        vertices[:, eye] = (vertices[:, eye] - centre) @ turn.transpose(0, 2, 1) + centre
    placed = vertices @ motion.rotation.astype(np.float32).transpose(0, 2, 1)
    placed += motion.translation[:, None].astype(np.float32)
    below = np.flatnonzero(follows_head < 1)
    still = vertices[:, below] @ motion.trunk_rotation.T.astype(np.float32) + motion.trunk_translation.astype(
        np.float32
    )
    placed[:, below] += (1 - follows_head[below])[:, None] * (still - placed[:, below])
    return np.asarray(placed, np.float32)
