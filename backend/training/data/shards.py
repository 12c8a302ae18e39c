"""Samples on disk, some hundreds a folder, so that each is rendered once and then augmented anew at every draw.

A shard is a folder of plain ``.npy`` arrays and a JSON list of the samples' sources. It is written under another name
and renamed when whole, and read through memory maps. Positions are kept to 1/64 pixel of a sample of ``SAMPLE_SIDE``
pixels, to as much more or less in one of another side; pictures as JPEG.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop
from backend.errors import ErrorCode, UserError
from backend.training.samples import SAMPLE_SIDE, Sample

STEPS = 64  # of a position, per pixel of a sample of SAMPLE_SIDE
REACH = 368.0
"""Pixels of a sample of SAMPLE_SIDE. Positions are kept from −REACH to 65535/64 − REACH; farther out is the same to the
training: outside."""

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
_ARRAYS = ("pictures", "picture_ends", "mu", "weights", "weight_rows", "visible", "crops")
_VERSION = 1


def write_shard(folder: Path, samples: Sequence[Sample]) -> None:
    """Write samples, which must agree in their number of points, as the shard ``folder``; whole or not at all."""
    coded = [data for sample in samples for data in (_jpeg(sample.image[:, :, ::-1]), _png(sample.foreground))]
    rows, weights = _without_repeats([sample.weight for sample in samples])
    arrays = {
        "pictures": np.concatenate(coded),
        "picture_ends": np.cumsum([len(data) for data in coded]).reshape(-1, 2),
        "mu": np.stack([_fixed(sample.mu, _unit(sample.image)) for sample in samples]),
        "weights": weights,
        "weight_rows": rows,
        "visible": np.packbits(np.stack([sample.visible for sample in samples]), axis=1),
        "crops": np.array([_crop_row(sample.crop) for sample in samples]),
    }
    about = {"version": _VERSION, "sources": [sample.source for sample in samples]}
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        for name, array in arrays.items():
            np.save(unfinished / f"{name}.npy", array, allow_pickle=False)
        (unfinished / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster with the same content
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class Shard:
    """The samples of one folder, read as they are asked for. Safe to use from several threads.

    Raises UserError ``bad_shard`` where the folder is none.
    """

    def __init__(self, folder: Path) -> None:
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            if about["version"] != _VERSION:
                raise ValueError(f"its version is {about['version']}, expected {_VERSION}")
            self.sources: tuple[str, ...] = tuple(about["sources"])
            arrays = {name: _mapped(folder / f"{name}.npy") for name in _ARRAYS}
            if any(len(arrays[name]) != len(self.sources) for name in _ARRAYS if name not in ("pictures", "weights")):
                raise ValueError("its arrays differ in length")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                ErrorCode.BAD_SHARD,
                f"{folder} is not a shard of training samples: {error}.",
                "Delete it; it is made anew.",
            ) from error
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Sample:
        a = self._arrays
        middle, end = (int(value) for value in a["picture_ends"][index])
        begin = int(a["picture_ends"][index - 1, 1]) if index else 0
        image = cv2.imdecode(np.asarray(a["pictures"][begin:middle]), cv2.IMREAD_COLOR)
        foreground = cv2.imdecode(np.asarray(a["pictures"][middle:end]), cv2.IMREAD_GRAYSCALE)
        mu = (a["mu"][index].astype(np.float32) / np.float32(STEPS) - np.float32(REACH)) * np.float32(_unit(image))
        return Sample(
            image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False),
            mu=mu,
            weight=np.array(a["weights"][a["weight_rows"][index]]),
            visible=np.unpackbits(a["visible"][index], count=len(mu)).astype(np.bool_),
            foreground=np.asarray(foreground, np.uint8),
            crop=_crop(a["crops"][index]),
            source=self.sources[index],
        )


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _unit(image: NDArray[Any]) -> float:
    """Pixels of a sample's picture (S,S,3) that make one of a sample of SAMPLE_SIDE."""
    return len(image) / SAMPLE_SIDE


def _fixed(mu: NDArray[np.float32], unit: float) -> NDArray[np.uint16]:
    return np.clip(np.round((mu.astype(np.float64) / unit + REACH) * STEPS), 0, 65535).astype(np.uint16)


def _without_repeats(rows: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """For N rows, which of the different ones each is (N,), and those (n,P): renders nearly all share one."""
    known: dict[bytes, int] = {}
    index = [known.setdefault(row.astype(np.float32).tobytes(), len(known)) for row in rows]
    return np.array(index, np.int32), np.stack([np.frombuffer(row, np.float32) for row in known])


def _crop_row(crop: Crop) -> tuple[float, ...]:
    return crop.x, crop.y, crop.side, crop.roll, float(crop.mirrored), float(crop.size)


def _crop(row: NDArray[np.float64]) -> Crop:
    x, y, side, roll, mirrored, size = (float(value) for value in row)
    return Crop(x, y, side, roll, bool(mirrored), int(size))


def _jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".jpg", image, _JPEG)[1], np.uint8)


def _png(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".png", mask, (cv2.IMWRITE_PNG_COMPRESSION, 4))[1], np.uint8)
