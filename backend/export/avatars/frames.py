"""The frames that avatars are trained on, camera by camera: picture without lens, person's outline, head's mesh."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.export.avatars.cameras import F64, head_to_camera, projected
from backend.export.avatars.mesh import AvatarMesh
from backend.export.pictures import Window, require_footage, take_pictures
from backend.footage.types import MAX_PIXELS
from backend.progress import JobProgress, OnProgress, ShouldCancel

if TYPE_CHECKING:
    from backend.track.types import CameraTrack, Track

AROUND = 2.0
"""Half the side of the square in which the person is looked for, in heads: the network knows heads with shoulders."""
COMPRESSION = 3
"""Of PNG: files a few per cent larger than with 9, at a fraction of the time."""


@dataclass(frozen=True, eq=False)
class AvatarFrame:
    """A camera's picture at a frame. ``step`` numbers from 0 the frames that are written, ``frame`` indexes the track.

    ``image (H,W,3)`` uint8 RGB, ``alpha (H,W)`` uint8 255 where the person is. ``vertices (n,3)`` of the mesh in head
    space, ``seen (n,3)`` their pixels in this picture and depths. ``centre`` is the principal point in this picture.
    """

    view: int
    frame: int
    step: int
    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    vertices: NDArray[np.float32]
    seen: F64
    focal: float
    centre: F64

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[0]

    @property
    def intrinsics(self) -> dict[str, Any]:
        """As NeRF's readers call them: pixels, the first pixel's centre at (0.5, 0.5); angles of view in radians."""
        (width, height), f = self.size, self.focal
        angles = {
            "camera_angle_x": 2 * float(np.arctan(width / (2 * f))),
            "camera_angle_y": 2 * float(np.arctan(height / (2 * f))),
        }
        return {
            "fl_x": f,
            "fl_y": f,
            "cx": float(self.centre[0]),
            "cy": float(self.centre[1]),
            "w": width,
            "h": height,
        } | angles


def frames_of(track: Track) -> NDArray[np.int64]:
    """The frames that are written: where the face was tracked and a camera has a picture, ascending.

    Raises UserError ``no_frames`` where there is none.
    """
    seen = np.any([camera.footage_frames >= 0 for camera in track.cameras], axis=0)
    frames = np.flatnonzero(seen & track.tracked)
    if not len(frames):
        raise UserError(ErrorCode.NO_FRAMES, "No frame of this take shows the face.", "Export another take.")
    return frames


def avatar_frames(
    mesh: AvatarMesh,
    views: Sequence[int],
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    *,
    centred: bool = False,
) -> Iterator[AvatarFrame]:
    """The frames of ``views``, one camera after the other; ``centred`` pictures have the principal point in the middle.

    Raises:
        UserError: ``no_frames``, and what ``take_pictures`` raises.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.alignment.people.outline import PersonOutline

    track, person = mesh.take.track, PersonOutline()
    require_footage(track, views)
    frames = frames_of(track)
    total, done = sum(int((track.cameras[view].footage_frames[frames] >= 0).sum()) for view in views), 0
    on_progress(JobProgress("writing pictures", 0.0, 0, total))
    for view in views:
        camera = track.cameras[view]
        window = centred_window(camera) if centred else None
        for picture in take_pictures(track, view, frames, window=window, should_cancel=should_cancel):
            t = picture.frame
            centre = camera.principal_point - (np.array(window[:2]) if window else 0.0)
            vertices, focal = mesh.posed(t), float(camera.focal_px[t])
            seen = projected(vertices, head_to_camera(track, view, t), focal, centre)
            alpha = person.alpha(picture.image, _about(seen)) * picture.shown
            step = int(np.searchsorted(frames, t))
            yield AvatarFrame(
                view, t, step, picture.image, np.round(255 * alpha).astype(np.uint8), vertices, seen, focal, centre
            )
            done += 1
            on_progress(JobProgress("writing pictures", done / total, done, total))
    if not done:
        named = ", ".join(track.cameras[view].footage for view in views)
        sentence = f"No picture of this take can be read any more from its footage: {named}."
        raise UserError(ErrorCode.NO_FRAMES, sentence, "Put the footage back as it was tracked, or track it again.")


def centred_window(camera: CameraTrack) -> Window | None:
    """The smallest part of the image plane with the whole picture and its principal point in the middle.

    None where it is the picture itself. Raises UserError ``too_large``.
    """
    size, centre = np.array(camera.image_size), np.asarray(camera.principal_point)
    if np.array_equal(2 * centre, size):
        return None
    width, height = np.where(2 * centre == size, size, 2 * np.ceil(np.maximum(centre, size - centre))).astype(int)
    if width * height > MAX_PIXELS:
        sentence = (
            f"With its principal point in the middle, the picture of {camera.name} were {width} × {height} pixels."
        )
        raise UserError(ErrorCode.TOO_LARGE, sentence, "Track the footage with a principal point in the picture.")
    return float(centre[0] - width / 2), float(centre[1] - height / 2), int(width), int(height)


def _about(seen: F64) -> tuple[int, int, int, int]:
    """The square about a head (n,3) in which the person is looked for, pixels."""
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    reach = np.clip(AROUND * float((high - low).max()), 1, 1e6)
    middle = np.clip((low + high) / 2, -1e6, 1e6)
    left, top = np.floor(middle - reach).astype(int)
    right, bottom = np.ceil(middle + reach).astype(int)
    return int(left), int(top), int(right), int(bottom)


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write grey (H,W) uint8 or uint16, RGB (H,W,3) or RGBA (H,W,4) as PNG."""
    import cv2

    turned = image if image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, data = cv2.imencode(".png", turned, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    if not done:  # OpenCV says no more
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{path.name} cannot be encoded as PNG.")
    path.write_bytes(data.tobytes())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as people read it."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
