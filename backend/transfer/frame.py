"""The place, size and orientation of the face on a foreign mesh, and what of the mesh is its skin.

Where nobody says it, MediaPipe does: the mesh is drawn the ways round that meshes come in until a face shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.errors import ErrorCode, UserError
from backend.head_model.model import BoolArray, HeadModel, surface_positions
from backend.head_model.registration.face_points import POINTS, BareHead, FacePoints, FirstLook, first_look
from backend.head_model.registration.quality import SETTLED
from backend.head_model.registration.types import OpenFaceMesh
from backend.head_model.rigid import Similarity, similarity_between
from backend.transfer.eyes import Eyes
from backend.transfer.types import F64, TargetMesh
from protocol.transfer import FACE_POINTS

NUMBERS = dict(zip(FACE_POINTS, (33, 133, 362, 263, 4, 61, 291, 152), strict=True))
"""MediaPipe's number of each point that a user can give."""
LEAST_POINTS = 4
POINT_SIGMA = 0.003  # metres, of a point that a user gave

DRAWN_HEIGHT = 0.3  # metres: the size that a mesh of any unit is drawn at
FRAMINGS = (
    *((span, centre) for span in (1.0, 0.7, 1.5, 0.45) for centre in (0.5, 0.65, 0.35)),
    *((0.3, 0.85), (0.2, 0.9), (0.14, 0.93), (0.1, 0.95)),
)
"""Spans and centres from below, in shares of the height, at which a face is looked for: of a bust, a head or a face,
then of a whole body."""
FEW_FRAMINGS = ((1.0, 0.5), (0.7, 0.65), (0.45, 0.5), (0.2, 0.9))
LOOKS = 3
ASIDE = 20.0
"""Degrees that a face may be turned from the camera that sees it."""
UNLIKE = 0.012
"""Metres, of a human head, that the points of a face may lie from the open head's in the median. Of ICT-FaceKit's mean
face and MakeHuman's people they lie 2 to 4 mm away, of a face with eyes half as large again 5."""
_LIKELY = (((0, 0, 1), (0, -1, 0)), ((0, 1, 0), (0, 0, 1)), ((0, 0, 1), (0, 1, 0)), ((0, 0, 1), (1, 0, 0)))
"""Up and forward of Blender's characters, of glTF's and FBX's, and of those that look elsewhere."""


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """``to_head`` takes the mesh to head space, at about the open head's size; ``skin (V,)`` is the piece of the mesh
    that bears the face. ``given`` are the user's points in head space, None where MediaPipe is the guide.
    """

    to_head: Similarity
    skin: BoolArray
    given: FacePoints | None


def find_frame(
    mesh: TargetMesh, pieces: NDArray[np.int32], eyes: Eyes | None, open_head: HeadModel, face_mesh: OpenFaceMesh
) -> FaceFrame:
    """Where the face is. ``pieces (V,)`` number the mesh's connected pieces.

    Raises ``UserError`` ``face_not_found`` where MediaPipe sees none and no points are given, ``no_opengl``.
    """
    at_home = surface_positions(open_head.landmarks["mediapipe478"], open_head.triangles, open_head.template)[:POINTS]
    at_home = at_home.astype(np.float64)
    if mesh.points:
        return _by_hand(mesh, pieces, at_home)
    used = np.unique(mesh.triangles)
    size = max(float(np.ptp(mesh.vertices[used], axis=0).max()), 1e-12)
    with first_look(face_mesh) as look:
        every = list(_orientations(mesh))
        tries = [(rotation, FEW_FRAMINGS) for rotation in every]
        for rotation, framings in (*tries, *((rotation, FRAMINGS) for rotation in every[: len(_LIKELY)])):
            seen = partial(_seen, mesh, used, size, eyes, look, framings)
            found = _from_the_front(rotation, at_home, seen)
            if found is not None:
                break
        else:
            raise UserError(
                ErrorCode.FACE_NOT_FOUND,
                "No face was found on renders of the mesh, whichever way round it was drawn.",
                f"Mark at least {LEAST_POINTS} points of its face by hand: {', '.join(FACE_POINTS)}.",
            )
    settled = SETTLED[~np.isnan(found[SETTLED, 0])]
    to_head = similarity_between(found[settled], at_home[settled])
    return FaceFrame(to_head, _skin(mesh, pieces, eyes, found[settled]), None)


def _from_the_front(rotation: F64, at_home: F64, seen: Callable[[F64], F64 | None]) -> F64 | None:
    """The points (468,3) that are ``seen`` of the mesh turned by ``rotation`` (3,3), or as they themselves say.

    MediaPipe also finds faces from the side, and where there are none: None where what it finds has not a face's shape.
    """
    for _ in range(LOOKS):
        found = seen(rotation)
        if found is None:
            return None
        settled = SETTLED[~np.isnan(found[SETTLED, 0])]
        if len(settled) < len(SETTLED) / 2:
            return None
        move = similarity_between(found[settled], at_home[settled])
        apart = np.median(np.linalg.norm(move.apply(found[settled]) - at_home[settled], axis=1))
        aside = np.degrees(np.arccos(np.clip((np.trace(move.rotation @ rotation.T) - 1) / 2, -1, 1)))
        if aside < ASIDE and apart < UNLIKE:
            return found
        rotation = move.rotation
    return None


def _seen(
    mesh: TargetMesh,
    used: NDArray[np.int32],
    size: float,
    eyes: Eyes | None,
    look: FirstLook,
    framings: Sequence[tuple[float, float]],
    rotation: F64,
) -> F64 | None:
    """MediaPipe's points (468,3) in the mesh's own space, of the mesh turned by ``rotation`` (3,3)."""
    turned = mesh.vertices @ rotation.T
    scale = DRAWN_HEIGHT / max(float(np.ptp(turned[used, 1])), 0.05 * size)
    head = BareHead(turned * scale, mesh.triangles, np.ones(len(mesh.triangles), bool), eyes.masks if eyes else ())
    found = look(head, framings)
    return None if found is None else (found / scale) @ rotation


def _orientations(mesh: TargetMesh) -> Iterator[F64]:
    """Rotations (3,3) to head space, the likely ones first."""
    axes = [np.eye(3)[k] * sign for k in range(3) for sign in (1, -1)]
    likely = [(np.array(up, float), np.array(forward, float)) for up, forward in _LIKELY]
    every = [*likely, *((up, forward) for up in axes for forward in axes)]
    if mesh.up is not None:
        every = [(mesh.up, forward) for forward in ([mesh.forward] if mesh.forward is not None else axes)]
    seen: list[F64] = []
    for up, forward in every:
        out = forward - (forward @ up) * up
        if np.linalg.norm(out) < 0.3:
            continue
        out /= np.linalg.norm(out)
        rotation = np.stack([np.cross(up, out), up, out])
        if not any(np.allclose(rotation, other, atol=1e-3) for other in seen):
            seen.append(rotation)
            yield rotation


def _by_hand(mesh: TargetMesh, pieces: NDArray[np.int32], at_home: F64) -> FaceFrame:
    unknown = sorted(set(mesh.points) - set(NUMBERS))
    given = {NUMBERS[name]: point for name, point in mesh.points.items() if name in NUMBERS}
    places = np.array(list(given.values())).reshape(-1, 3)
    spread = np.linalg.svd(places - places.mean(axis=0), compute_uv=False) if len(places) >= LEAST_POINTS else None
    if unknown or spread is None or spread[1] < 0.1 * spread[0]:
        reason = f"“{unknown[0]}” is none" if unknown else "they are too few, or lie on one line"
        raise UserError(
            ErrorCode.FACE_NOT_FOUND,
            f"The points given on the face cannot guide the transfer: {reason}.",
            f"Give at least {LEAST_POINTS} of these: {', '.join(FACE_POINTS)}.",
        )
    numbers = np.array(list(given))
    to_head = similarity_between(places, at_home[numbers])
    position = np.full((POINTS, 3), np.nan)
    position[numbers] = to_head.apply(places)
    sigma = np.where(np.isnan(position[:, 0]), np.nan, POINT_SIGMA)
    return FaceFrame(to_head, _skin(mesh, pieces, None, places), FacePoints(position, sigma))


def _skin(mesh: TargetMesh, pieces: NDArray[np.int32], eyes: Eyes | None, points: F64) -> BoolArray:
    """The piece (V,) that most of the face's points (n,3) lie on; brows and lashes may cover some."""
    allowed = np.zeros(len(pieces), bool)
    allowed[np.unique(mesh.triangles)] = True
    if eyes is not None:
        allowed &= ~(eyes.masks[0] | eyes.masks[1])
    index = np.flatnonzero(allowed)
    _, near = cKDTree(mesh.vertices[index]).query(points)
    return np.asarray(pieces == np.bincount(pieces[index[near]]).argmax())
