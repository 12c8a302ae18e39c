"""A rendered take of two cameras, one behind a lens, the other zooming; and readers of what was exported of it.

The readers know nothing of the exporter: they take files as other programs do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.distortion import lens_of, undistort
from backend.export.takes import ExportTake
from backend.head_model.library import load_head
from backend.head_model.model import posed_vertices
from backend.head_model.render import HeadRenderer
from backend.synthesis.clip import textured_wall
from backend.track.geometry import neutral_of, person_of
from backend.track.types import CameraTrack, Track
from protocol.arrays import at_frames
from tests.blender.runners import performance

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

SIZE = (240, 200)
FRAMES = (0, 4, 9)
BORDER = 40
"""Pixels drawn about the ideal picture, into which the lens looks."""
UNSEEN = 1
"""Of the take's frames, the one for which the second camera has no picture."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The take, and the colours (V,3) in which the head was drawn: freckles, to which pictures can be matched."""

    take: ExportTake
    colors: NDArray[np.float32]


def make_scene(folder: Path) -> Scene:
    """Draw the take's pictures into a folder."""
    head = load_head("open")
    colors = np.random.default_rng(3).uniform(0.25, 0.95, (head.vertex_count, 3)).astype(np.float32)
    track = at_frames(performance(""), np.array(FRAMES))
    track = replace(track, frames=np.array([11, 12, 13]))
    first = camera(folder / "first", 300.0 * np.ones(3), (124.25, 93.5), np.eye(3, 4), (0.10, -0.25, 0.003, -0.002))
    turned = Rotation.from_euler("y", 25, degrees=True).as_matrix()
    about = np.column_stack([turned, np.array([0, 0, 0.62]) - turned @ np.array([0, 0, 0.62])])
    second = camera(folder / "second", np.array([310.0, 320.0, 340.0]), (118.0, 104.5), about, ())
    track = replace(track, cameras=(first, second))
    for view in range(2):
        draw(head, track, view, colors)
    return Scene(ExportTake(track, head, folder / "track.npz"), colors)


def camera(
    folder: Path, focal: F64, centre: tuple[float, float], pose: F64, distortion: tuple[float, ...]
) -> CameraTrack:
    """A camera of a sequence in ``folder``; the second one's has a gap."""
    numbers = (1, 2, 3) if distortion else (5, -1, 7)
    kept = tuple(number for number in numbers if number > 0)
    files = tuple(f"shot_{number:02d}.png" for number in kept)
    folder.mkdir()
    return replace(
        performance(str(folder / files[0])).cameras[0],
        name=folder.name,
        footage_kind="sequence",
        footage_files=files,
        footage_numbers=kept,
        footage_frame_count=len(files),
        image_size=SIZE,
        focal_px=focal,
        principal_point=np.array(centre),
        world_to_camera=np.tile(pose, (3, 1, 1)),
        footage_frames=np.array(numbers),
        distortion=distortion,
    )


def draw(head: Any, track: Track, view: int, colors: NDArray[np.float32]) -> None:
    """Write a camera's footage: the head before a wall, drawn without lens and then looked up through it."""
    seen, neutral = track.cameras[view], neutral_of(head, track)
    wide = (SIZE[0] + 2 * BORDER, SIZE[1] + 2 * BORDER)
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    looked_up = undistort(np.stack([x, y], axis=-1), lens_of(seen))
    assert looked_up.valid.all()
    places = (looked_up.points + BORDER - 0.5).astype(np.float32)
    with HeadRenderer(wide) as renderer:
        for t in np.flatnonzero(seen.footage_frames >= 0):
            person, pose = person_of(head, track), Rotation.from_rotvec(track.head_rotation[t].copy())
            still = posed_vertices(person, neutral, track.expression[[t]], track.gaze[[t]])[0]
            world = still @ pose.as_matrix().T + track.head_translation[t]
            picture = renderer.render(
                world,
                head.triangles,
                colors,
                focal_px=float(seen.focal_px[t]),
                principal_point=(float(seen.principal_point[0]) + BORDER, float(seen.principal_point[1]) + BORDER),
                world_to_camera=seen.world_to_camera[t],
                background=textured_wall(wide, 4),
            )
            shown = picture[BORDER:-BORDER, BORDER:-BORDER]
            if seen.distortion:
                shown = cv2.remap(picture, places, None, cv2.INTER_CUBIC)
            name = f"shot_{int(seen.footage_frames[t]):02d}.png"
            cv2.imwrite(str(Path(seen.footage).parent / name), shown[..., ::-1])


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def read_obj(path: Path) -> tuple[F64, NDArray[np.int64]]:
    """Corners (n,3…6) and triangles (F,3) from 0 of a Wavefront OBJ."""
    lines = path.read_text().splitlines()
    corners, faces = ([line[2:].split() for line in lines if line[:2] == kind] for kind in ("v ", "f "))
    assert len(corners) + len(faces) == len(lines)
    return np.array(corners, np.float64), np.array(faces, np.int64) - 1


def read_picture(path: Path) -> NDArray[Any]:
    """A PNG as it is stored, channels in the order red, green, blue, alpha."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return picture if picture.ndim == 2 else picture[..., [2, 1, 0, 3][: picture.shape[2]]]


def pinhole(points: F64, frame: dict[str, Any], *, opengl: bool) -> F64:
    """Pixels (n,2), the first pixel's centre at (0.5, 0.5), by a frame of a transforms.json."""
    seen = (np.linalg.inv(np.array(frame["transform_matrix"])) @ np.column_stack([points, np.ones(len(points))]).T)[:3]
    x, y, z = seen * np.array([[1], [-1], [-1]]) if opengl else seen
    return np.stack([frame["fl_x"] * x / z + frame["cx"], frame["fl_y"] * y / z + frame["cy"]], axis=1)


def drawn_again(
    vertices: F64, triangles: NDArray[Any], colors: NDArray[np.float32], frame: dict[str, Any], *, opengl: bool
) -> tuple[U8, NDArray[np.float32]]:
    """The mesh as an exported camera sees it, RGB (H,W,3), and its depth (H,W) in metres, infinite beside it."""
    to_camera = np.linalg.inv(np.array(frame["transform_matrix"]))
    if opengl:
        to_camera = np.diag([1.0, -1.0, -1.0, 1.0]) @ to_camera
    size, centre = (int(frame["w"]), int(frame["h"])), (frame["cx"], frame["cy"])
    with HeadRenderer(size) as renderer:
        seen = {"focal_px": frame["fl_x"], "principal_point": centre, "world_to_camera": to_camera[:3]}
        picture = renderer.render(vertices, triangles, colors, **seen)
        return picture, renderer.surface(vertices, triangles, **seen).depth


def shift(picture: U8, again: U8, depth: NDArray[np.float32]) -> float:
    """The greatest of both components of how far, in pixels, the freckles of two pictures lie apart: the median of a
    dense flow well within the head (DIS, Kroeger et al. 2016, refined variationally)."""
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    grey = [np.ascontiguousarray(cv2.cvtColor(one[..., :3].copy(), cv2.COLOR_RGB2GRAY)) for one in (picture, again)]
    apart = flow.calc(grey[0], grey[1], None)
    inside = cv2.erode(np.isfinite(depth).astype(np.uint8), np.ones((15, 15))) > 0
    return float(np.abs(np.median(apart[inside], axis=0)).max())


def posed(scene: Scene, frame: int) -> F64:
    """All the head's vertices (V,3) at a frame, in head space."""
    head, track = scene.take.head, scene.take.track
    person, neutral = person_of(head, track), neutral_of(head, track)
    return posed_vertices(person, neutral, track.expression[[frame]], track.gaze[[frame]])[0].astype(np.float64)
