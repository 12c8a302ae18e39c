"""The facecap character: a head with ARKit's 52 morph targets, and the curves that Apple's ARKit recorded for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from backend.errors import ErrorCode, UserError
from backend.evaluation.meaning.glb import Glb, read_glb
from backend.files import read_npz
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From the file's axes below its head (y out of the face, z down) to head space."""
CENTIMETRE = 0.01
_UV_STEPS = 4096.0  # its texture coordinates are whole numbers of 12 bits
_FIRST_KEY = 0.0475
"""Seconds at which the file's animation begins; its curves in ``facecap_curves.npz`` are sampled from there on."""


@dataclass(frozen=True, eq=False)
class Character:
    """A head in head space, metres, and its recorded performance of T frames.

    ``neutral (V,3)``, ``deltas (52,V,3)`` in the order of ``ARKIT_ACTIONS``, ``triangles (F,3)`` counter-clockwise from
    outside, ``corner_uv (F,3,2)`` of the skin's atlas. ``skin``, ``teeth`` and ``eyes`` (right, left of the subject)
    are vertex masks (V,), ``eye_centres (2,3)``; ``weights (T,52)`` and ``eye_turns (T,2,3,3)`` perform.
    """

    neutral: F64
    deltas: F64
    triangles: NDArray[np.int32]
    corner_uv: F64
    skin: Bool
    teeth: Bool
    eyes: tuple[Bool, Bool]
    eye_centres: F64
    weights: F64
    eye_turns: F64
    frame_rate: float

    def posed(self, frame: int) -> F64:
        """Vertices (V,3) in head space in a frame of the performance."""
        vertices = self.neutral + np.einsum("k,kvc->vc", self.weights[frame], self.deltas)
        for eye, centre, turn in zip(self.eyes, self.eye_centres, self.eye_turns[frame], strict=True):
            vertices[eye] = (vertices[eye] - centre) @ turn.T + centre
        return vertices


@lru_cache(maxsize=1)
def load_character(folder: Path) -> Character:
    """Read ``facecap.glb`` and ``facecap_curves.npz`` of a folder. Raises UserError ``file_missing``, ``bad_file``."""
    glb = read_glb(folder / "facecap.glb")
    path = folder / "facecap_curves.npz"
    try:
        data = read_npz(path, "performance", texts=True)
        names = [str(name) for name in data["names"]]
        weights = data["w"].astype(np.float64)[:, [names.index(action) for action in ARKIT_ACTIONS]]
        rate = float(data["fps"])
        return _assembled(glb, weights, rate)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"The character in {folder} cannot be read: {error}.") from error


def _assembled(glb: Glb, weights: F64, rate: float) -> Character:
    nodes = {node.get("name"): index for index, node in enumerate(glb.told["nodes"])}
    head, teeth = (_child(glb, nodes[name]) for name in ("head", "teeth"))
    groups = (nodes["grp_eyeLeft"], nodes["grp_eyeRight"])
    sockets = [np.array(glb.told["nodes"][group]["translation"]) for group in groups]
    eyes = [_child(glb, nodes[name]) for name in ("eyeLeft", "eyeRight")]
    # The file's left eye is the one on the left of its picture, whose lids its morph targets call right.
    order = np.argsort([socket[0] for socket in sockets])
    seconds = _FIRST_KEY + np.arange(len(weights)) / rate
    turns = np.stack([_turns(glb, groups[k], seconds) for k in order], axis=1)
    parts = [_Part.read(glb, head), *(_Part.read(glb, eyes[k]) for k in order), _Part.read(glb, teeth)]
    sockets_in_order = np.stack([sockets[k] for k in order])
    for part, socket in zip(parts[1:3], sockets_in_order, strict=True):
        part.points += socket
    counts = np.cumsum([0, *(len(part.points) for part in parts)])
    owner = np.repeat(np.arange(4), np.diff(counts))
    neutral = np.concatenate([part.points for part in parts])
    deltas = np.zeros((len(ARKIT_ACTIONS), *neutral.shape))
    deltas[:, : counts[1]] = _morphs(glb, head)
    return Character(
        neutral=neutral @ UP.T * CENTIMETRE,
        deltas=deltas @ UP.T * CENTIMETRE,
        triangles=np.concatenate([p.triangles + at for p, at in zip(parts, counts[:-1], strict=True)]).astype(np.int32),
        corner_uv=np.concatenate([part.uv[part.triangles] for part in parts]),
        skin=owner == 0,
        teeth=owner == 3,
        eyes=(owner == 1, owner == 2),
        eye_centres=sockets_in_order @ UP.T * CENTIMETRE,
        weights=weights,
        eye_turns=np.einsum("ij,tejk,lk->teil", UP, turns, UP),
        frame_rate=rate,
    )


@dataclass(eq=False)
class _Part:
    points: F64
    triangles: NDArray[np.int64]
    uv: F64

    @classmethod
    def read(cls, glb: Glb, node: dict[str, Any]) -> _Part:
        primitive = glb.told["meshes"][node["mesh"]]["primitives"][0]
        points = glb.array(primitive["attributes"]["POSITION"]) * node["scale"] + node["translation"]
        triangles = glb.array(primitive["indices"]).reshape(-1, 3).astype(np.int64)
        if triangles.min() < 0 or triangles.max() >= len(points):
            raise ValueError("a triangle has a corner that is not there")
        uv = glb.array(primitive["attributes"]["TEXCOORD_0"]) / _UV_STEPS
        return cls(points, triangles, np.column_stack([uv[:, 0], 1 - uv[:, 1]]))


def _child(glb: Glb, node: int) -> dict[str, Any]:
    return dict(glb.told["nodes"][glb.told["nodes"][node]["children"][0]])


def _morphs(glb: Glb, node: dict[str, Any]) -> F64:
    """(52,V,3) in the file's axes and centimetres, in the order of ``ARKIT_ACTIONS``."""
    mesh = glb.told["meshes"][node["mesh"]]
    names = [n.replace("_L", "Left").replace("_R", "Right") for n in mesh["extras"]["targetNames"]]
    targets = mesh["primitives"][0]["targets"]
    scale = np.array(node["scale"])
    return np.stack([glb.array(targets[names.index(name)]["POSITION"]) * scale for name in ARKIT_ACTIONS])


def _turns(glb: Glb, node: int, seconds: F64) -> F64:
    """Rotations (T,3,3) of a node's animation, in the file's axes."""
    for animation in glb.told["animations"]:
        for channel in animation["channels"]:
            if channel["target"] == {"node": node, "path": "rotation"}:
                sampler = animation["samplers"][channel["sampler"]]
                times = glb.array(sampler["input"])[:, 0]
                keys = Rotation.from_quat(glb.array(sampler["output"]))
                return Slerp(times, keys)(np.clip(seconds, times[0], times[-1])).as_matrix()
    raise ValueError("an eye is not animated")
