"""Training samples of calibrated photographs whose scans are registered (seeds/000 D): real pictures, dense labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.footage import read_image
from backend.head_model.model import HeadModel
from backend.reading import shown
from backend.training.samples import NOMINAL, Sample, sample_side
from backend.training.scans.drawn import DrawnScans
from backend.training.scans.layouts.types import Folder, Photograph, Take, from_the_front
from backend.training.scans.registered import RegisteredScan
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.stage import NEAR
from backend.training.synthetic.views import Camera

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

_SHOWN = 0.5
"""Least share of the face's vertices that a photograph must have in it: some cameras of a rig look past the face."""
_ASPECT = 0.01  # by how much a smaller copy's sides may be rounded
_EVEN = Lighting(np.eye(1, 4).repeat(3, axis=0), np.tile((0.0, 0.0, -1.0), (LAMPS, 1)), np.zeros((LAMPS, 3)), 0.0, 0.0)
"""Any will do: of what is drawn only depth and outline are used."""


@dataclass(frozen=True, eq=False)
class PhotographedScan:
    """A registered scan of ``person`` and those of its photographs that show the face from the front."""

    scan: RegisteredScan
    person: str
    photographs: tuple[Photograph, ...]


def photographed(
    folder: Folder, scans: Sequence[RegisteredScan], head: HeadModel
) -> tuple[list[PhotographedScan], list[str]]:
    """The scans that are those of ``folder``, by their files' paths, and for each left out a clause that says why.

    Raises UserError ``no_photos`` where none is left.
    """
    takes = {_same(path): take for take in folder.takes for path in (take.scan, take.registration) if path is not None}
    found, left_out = list[PhotographedScan](), list[str]()
    for scan in scans:
        take = None if scan.file is None else takes.get(_same(scan.file))
        if take is None:
            where = "" if scan.file is None else f" ({shown(scan.file)})"
            left_out.append(f"{scan.name}: its scan{where} is not one of the folder's")
            continue
        kept = _kept(scan, take, head)
        if kept:
            found.append(PhotographedScan(scan, take.person, kept))
        else:
            left_out.append(f"{scan.name}: none of its {len(take.photographs)} photographs shows the face's front")
    if not found:
        raise UserError(
            ErrorCode.NO_PHOTOS,
            f"None of the registered scans has photographs: {'; '.join(left_out[:3])}.",
            "Register scans from these same folders, and see with “flowface scans check” what these hold.",
        )
    return found, left_out


def _same(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _kept(scan: RegisteredScan, take: Take, head: HeadModel) -> tuple[Photograph, ...]:
    found = scan.found
    face = found.vertices[head.regions["face"] & head.regions["skin"]] / found.unit
    kept = []
    for photograph in from_the_front(take.photographs, found.move.rotation, face.mean(axis=0)):
        pixels, depth = photograph.project(face)
        if (depth * found.unit > NEAR).all() and _inside(pixels, photograph).mean() >= _SHOWN:
            kept.append(photograph)
    return tuple(kept)


def _inside(pixels: F64, photograph: Photograph) -> NDArray[np.bool_]:
    """Which pixels (n,2) of its full size are in the picture; NaN are not."""
    return np.asarray((pixels >= 0).all(axis=1) & (pixels < photograph.size).all(axis=1))


class PhotographSource(AbstractContextManager["PhotographSource", None]):
    """Cuts samples out of calibrated photographs, in an ideal pinhole; a context manager. ``nominal`` as in ScanSource.

    The picture is what a camera in the photograph's place would see without distortion, with square pixels, turned by
    the quarter turn that brings the face nearest to upright (rigs have cameras on their side); black where the
    photograph ends. What hides a point, and the foreground, are the scan's; weights are as ``DrawnScans`` has them.

    Raises UserError ``no_opengl``; ``sample`` raises as ``read_image`` does, and ``bad_file`` for a picture of another
    shape than its calibration's.
    """

    def __init__(self, scans: Sequence[PhotographedScan], nominal: int = NOMINAL) -> None:
        self._scans = list(scans)
        self._drawn = DrawnScans([one.scan for one in scans], nominal, coloured=False)
        self._side = sample_side(nominal)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._drawn.close()

    def sample(self, index: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002 - nothing is left to chance
        """The scans in turn, and each one's photographs in turn."""
        number, turn = index % len(self._scans), index // len(self._scans)
        photographs = self._scans[number].photographs
        return self.cut(number, photographs[turn % len(photographs)])

    def cut(self, number: int, photograph: Photograph) -> Sample:
        """The sample of one photograph of scan ``number``."""
        one, drawn = self._scans[number], self._drawn.scans[number]
        pose = photograph.world_to_camera
        rotation = pose[:, :3] @ one.scan.found.move.rotation  # from the upright head to the camera
        place = rotation @ drawn.middle + pose[:, 3] * one.scan.found.unit
        seen = drawn.placed(drawn.points, rotation, place)
        upright = self._upright(seen)
        black = np.zeros((self._side, self._side, 3), np.uint8)
        source = f"photograph {one.person}/{one.scan.name}/{photograph.path.stem}"
        sample, camera = self._drawn.draw(
            number, upright @ rotation, upright @ place, _EVEN, (1.0, 1.0, 1.0), black, source
        )
        within = _inside(photograph.through_lens(seen[:, :2] / seen[:, 2:]), photograph)
        image = resampled(read_image(photograph.path), photograph, camera, upright, self._side)
        return replace(sample, image=image, visible=sample.visible & within)

    def _upright(self, points: F64) -> F64:
        """The quarter turn (3,3) of a camera about its axis after which points (P,3) stand nearest to upright."""
        roll = self._drawn.layout.crop(points[:, :2] / points[:, 2:], self._drawn.nominal).roll
        c, s = ((1, 0), (0, -1), (-1, 0), (0, 1))[round(roll / (np.pi / 2)) % 4]
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float64)


def resampled(picture: Image, photograph: Photograph, camera: Camera, turn: F64, side: int) -> Image:
    """What a pinhole ``camera`` of ``side``² pixels sees of a photograph (h,w,3), from its place.

    ``turn (3,3)`` brings directions from the photograph's camera into that one. Averaged, not skipped, where the
    photograph is finer. Raises UserError ``bad_file`` where the picture's sides are not as those of the calibration.
    """
    height, width = picture.shape[:2]
    scale = np.array([width, height]) / photograph.size  # FaMoS's come smaller than they were calibrated
    if abs(scale[0] / scale[1] - 1) > _ASPECT:
        expected = f"{photograph.size[0]}×{photograph.size[1]}"
        raise UserError(
            ErrorCode.BAD_FILE,
            f"{shown(photograph.path)} has {width}×{height} pixels, but its camera was calibrated for {expected}.",
            "Unpack it again; neither crop it nor turn it.",
        )
    row, column = np.mgrid[:side, :side] + 0.5
    flat = (np.column_stack([column.ravel(), row.ravel()]) - camera.principal_point) / camera.focal_px
    ray = np.column_stack([flat, np.ones(len(flat))]) @ turn
    place = (photograph.through_lens(ray[:, :2] / ray[:, 2:]) * scale).reshape(side, side, 2)
    middle = slice(side // 4, side - side // 4)
    steps = np.linalg.norm(np.diff(place[middle, middle], axis=1), axis=2)
    factor = max(1, int(np.nanmedian(steps))) if np.isfinite(steps).any() else 1
    shrunk, place = _shrunk(picture, place, factor)
    # OpenCV counts from pixels' centres, DESIGN §3 from the image's corner; what the lens does not show is outside
    where = np.nan_to_num(place - 0.5, nan=-9.0).clip(-9, 1 << 15).astype(np.float32)
    return np.asarray(cv2.remap(shrunk, where[..., 0], where[..., 1], cv2.INTER_LINEAR), np.uint8)


def _shrunk(picture: Image, place: F64, factor: int) -> tuple[Image, F64]:
    """The part of the picture around ``place (S,S,2)``, ``factor`` times smaller each way, and the places in it."""
    height, width = picture.shape[:2]
    size = np.array([width, height])
    reached = place[((place >= 0) & (place < size)).all(axis=2)]
    if not len(reached):
        return picture, place
    left, top = np.maximum(reached.min(axis=0).astype(int) - factor, 0)
    right, bottom = np.minimum(reached.max(axis=0).astype(int) + 2 * factor, size)
    across, down = (right - left) // factor, (bottom - top) // factor
    if across < 1 or down < 1:
        return picture, place
    part = picture[top : top + down * factor, left : left + across * factor]
    if factor > 1:
        part = cv2.resize(part, (int(across), int(down)), interpolation=cv2.INTER_AREA)
    return np.asarray(part, np.uint8), (place - (left, top)) / factor
