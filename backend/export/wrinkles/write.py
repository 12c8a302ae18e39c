"""A folder with a person's wrinkles: the three maps, and displacement and normals of each frame of the take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.io import load_wrinkles
from backend.detail.types import Wrinkles
from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.avatars.frames import write_json, write_png
from backend.export.takes import ExportTake
from backend.export.words import README, readme
from backend.export.wrinkles.bake import Bake
from backend.head_model.model import posed_vertices
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.geometry import neutral_of, person_of
from protocol.arrays import at_frames

ZERO = 32768
"""The value of a texel that is not moved, of 65535: what is below lies in, what is above stands out."""
BAKED_STEP = 0.01 / 32767
"""Metres that one step of a frame's displacement is: it reaches 10 mm either way, and tells 0.3 µm."""
MAPS, DISPLACEMENT, NORMALS = "maps", "displacement", "normals"
ABOUT = (
    "Wrinkles as displacement along the normals of the smooth head, on its texture atlas: 16 bits, grey, linear; "
    f"metres = (value - {ZERO}) x metres_per_step, which wrinkles.json tells of each. The first row is the atlas's top "
    "(v = 1)."
)
LIVE = (
    "maps: D = base + stretch x max(T, 0) + compression x max(-T, 0). The tension T of a vertex is the mean over the "
    "mesh's edges at it (those of its quads, not their diagonals) of the edge's length over its length in the neutral, "
    "less 1; between vertices it is linear. seen.png is how far the footage told, 0 to 255."
)
BAKED = (
    "displacement: D of each frame. normals: the same as a tangent-space normal map, 8 bits, linear, of OpenGL's "
    "convention (+x along u, +y along v; turn green round for DirectX), for the smooth head of that frame."
)


def write_wrinkles(take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write ``maps/``, ``displacement/``, ``normals/``, ``wrinkles.json`` and a README.txt.

    Raises:
        UserError: ``bad_export`` where the take has no wrinkles; ``bad_file`` where their file is damaged;
            ``head_changed``.
        Cancelled: ``should_cancel`` said so; it is asked before each frame.
    """
    wrinkles = _wrinkles_of(take)
    for name in (MAPS, DISPLACEMENT, NORMALS):
        (folder / name).mkdir()
    told = _write_maps(wrinkles, folder)
    track, head = take.track, take.head
    person, neutral = person_of(head, track), neutral_of(head, track)
    bake = Bake.of(head, neutral, wrinkles)
    total = len(track.frames)
    for index in range(total):
        if should_cancel():
            raise Cancelled
        some = at_frames(track, np.array([index]))
        posed = posed_vertices(person, neutral, some.expression, some.gaze)[0]
        depth = bake.displacement(posed)
        name = f"{track.frames[index]:06d}.png"
        write_png(folder / DISPLACEMENT / f"{DISPLACEMENT}_{name}", _steps(depth, BAKED_STEP))
        normals = np.round((bake.normals(posed, depth) + 1) * 127.5).astype(np.uint8)
        write_png(folder / NORMALS / f"{NORMALS}_{name}", normals)
        on_progress(JobProgress("baking wrinkles", (index + 1) / total, index + 1, total))
    about = {
        "version": 1,
        "head": track.head_id,
        "side": wrinkles.side,
        "zero": ZERO,
        "maps": told,
        "seen": f"{MAPS}/seen.png",
        "displacement": {"files": f"{DISPLACEMENT}/{DISPLACEMENT}_<frame>.png", "metres_per_step": BAKED_STEP},
        "normals": {"files": f"{NORMALS}/{NORMALS}_<frame>.png", "convention": "OpenGL"},
        "frames": track.frames.tolist(),
        "frame_rate": track.frame_rate,
    }
    write_json(folder / "wrinkles.json", about)
    (folder / README).write_bytes(readme(take, [ABOUT, LIVE, BAKED]))


def _wrinkles_of(take: ExportTake) -> Wrinkles:
    """Those beside the track, whichever of a take's faces it is of, refined or not."""
    file = take.file.with_name(re.sub("^track(ed)?", "wrinkles", take.file.name))
    if file == take.file or not file.is_file():
        sentence = f"The take “{take.name}” has no wrinkles: there is no {file.name} beside its track."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Track the footage again with Wrinkles on.")
    return load_wrinkles(file)


def _write_maps(wrinkles: Wrinkles, folder: Path) -> dict[str, Any]:
    told = {}
    for name in ("base", "stretch", "compression"):
        depths = getattr(wrinkles, name)
        step = max(float(np.abs(depths).max()), 1e-6) / 32767
        write_png(folder / MAPS / f"{name}.png", _steps(depths, step))
        told[name] = {"file": f"{MAPS}/{name}.png", "metres_per_step": step}
    write_png(folder / MAPS / "seen.png", np.round(255 * np.clip(wrinkles.seen, 0, 1)).astype(np.uint8))
    return told


def _steps(depths: NDArray[np.float32], step: float) -> NDArray[np.uint16]:
    return np.clip(np.round(depths / step) + ZERO, 0, 65535).astype(np.uint16)
