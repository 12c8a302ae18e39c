"""Real pictures as training samples: train photographs and frames of train clips, labelled by aligner and fit.

Made and used at training time only: pictures of people are never committed or given away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.alignment.flowface.crop import CropLayout
from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.footage import open_footage
from backend.head_model.library import load_head
from backend.training.real.fits import FittedTake, TakeFitter, cache_name
from backend.training.real.labels import LabelWeights
from backend.training.real.pictures import INCLUDED, pictures_of
from backend.training.samples import NOMINAL, Sample, sample_side

VERSION = 5  # raise it whenever the same picture would give other samples
EVERY = 2  # frames of a clip from one that is looked at to the next
MOST = 24  # frames kept of a clip: many frames of few people must not drown the photographs
MOVED = 0.004  # of the crop's side: RMS distance of the points below which two frames are the same picture
PRESENCE = 0.9  # the aligner's, below which a frame is left out
BEYOND = 0.06  # fit's error over the inter-ocular distance from which on a frame is left out
FACING = 0.7  # cosine of the turn from which on the aligner's points teach nothing: beyond 45° they slide off
PROFILE = 0.0  # the same from which on a frame is left out; up to there the head fitted to the whole take teaches

OnProgress = Callable[[int, int], None]
_ARRAYS = {"image": ("u1", 4), "mu": ("f4", 3), "weight": ("f4", 2), "frame": ("i8", 1)}


class RealSource:
    """Samples of real pictures, in a fixed order: photographs first, then clips frame by frame.

    ``folder`` is the development data (``../shared/data`` with ``photos`` and ``clips``), of which only people of the
    train split are read, and only footage with a clear licence (``pictures.INCLUDED``); ``include`` takes only these.
    What is made is kept in ``cache``, one file for each photograph or clip, so that a stopped run goes on where it
    was. ``dense`` also labels the open head's vertices as the fit placed them, which teaches what the aligner has no
    name for. ``on_progress(done, total)`` counts files. ``nominal`` is the side of the face's
    nominal crop, pixels.

    Of clips, frames turned beyond ``FACING`` are labelled by the head alone, as the fit of the whole take places it.

    Nothing is known of occlusion and background: ``visible`` is True and ``foreground`` 255 everywhere.

    Raises UserError: ``no_photos``, ``no_clips``, ``unclear_licence``, ``bad_file`` for a damaged file in the cache.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        include: Sequence[str] = INCLUDED,
        *,
        dense: bool = True,
        on_progress: OnProgress | None = None,
        only: Sequence[Path] | None = None,
        nominal: int = NOMINAL,
    ) -> None:
        self._nominal = nominal
        photographs, clips = pictures_of(folder, include)
        paths = [path for path in (*photographs, *clips) if only is None or path in only]
        cache.mkdir(parents=True, exist_ok=True)
        self._points = len(LabelWeights.of(load_head("open")).points)
        self._parts: list[tuple[str, dict[str, NDArray[Any]]]] = []
        self._index: list[tuple[int, int]] = []
        for part, arrays in enumerate(self._read_all(paths, cache, dense, on_progress)):
            kind = "photo" if paths[part] in photographs else "clip"
            self._parts.append((f"{kind} {paths[part].parent.name}/{paths[part].stem}", arrays))
            self._index += [(part, n) for n in range(len(arrays["image"]))]

    def __len__(self) -> int:
        return len(self._index)

    def sample(self, index: int) -> Sample:
        """The picture ``index`` in 0…len − 1; the same every time."""
        part, n = self._index[index]
        name, arrays = self._parts[part]
        side = sample_side(self._nominal)
        return Sample(
            image=arrays["image"][n],
            mu=arrays["mu"][n],
            weight=arrays["weight"][n],
            visible=np.ones(self._points, bool),
            foreground=np.full((side, side), 255, np.uint8),
            crop=Crop(side / 2, side / 2, float(self._nominal)),
            source=f"{name} {arrays['frame'][n]}",
        )

    def _read_all(
        self, paths: Sequence[Path], cache: Path, dense: bool, on_progress: OnProgress | None
    ) -> Iterator[dict[str, NDArray[Any]]]:
        maker: SampleMaker | None = None
        try:
            for done, path in enumerate(paths, start=1):
                kept = cache / cache_name(path, f"{'dense' if dense else 'points'}{self._nominal}", VERSION)
                if not kept.is_file():
                    maker = maker or SampleMaker(dense=dense, nominal=self._nominal)
                    write_npz(kept, maker.samples(path))
                yield self._read(kept)
                if on_progress is not None:
                    on_progress(done, len(paths))
        finally:
            if maker is not None:
                maker.close()

    def _read(self, path: Path) -> dict[str, NDArray[Any]]:
        again = "Delete it; it will be made again."
        try:
            arrays = read_npz(path, "samples", 1 << 28)
        except UserError as error:
            raise UserError(error.code, error.message, again) from error
        count, side = len(arrays.get("frame", ())), sample_side(self._nominal)
        shapes = {
            "image": (count, side, side, 3),
            "mu": (count, self._points, 2),
            "weight": (count, self._points),
            "frame": (count,),
        }
        for name, (kind, _) in _ARRAYS.items():
            array = arrays.get(name)
            if array is None or array.dtype != np.dtype(kind) or array.shape != shapes[name]:
                raise UserError(
                    ErrorCode.BAD_FILE, f"{path} does not hold samples: “{name}” is missing or wrong.", again
                )
        return arrays


class SampleMaker:
    """Makes the samples of one photograph or clip at a time; call ``close`` when done."""

    def __init__(self, *, dense: bool, nominal: int = NOMINAL) -> None:
        self._nominal, self._side = nominal, sample_side(nominal)
        self._head = load_head("open")
        self._fitter = TakeFitter(self._head)
        self._layout = CropLayout.of(self._head)
        self._labels = LabelWeights.of(self._head)
        self._dense = dense

    def close(self) -> None:
        """Stop the aligner."""
        self._fitter.close()

    def samples(self, path: Path) -> dict[str, NDArray[Any]]:
        """``image (n,S,S,3)``, ``mu (n,P,2)``, ``weight (n,P)``, ``frame (n,)``; n = 0 where nothing can be learnt.

        The first three are as in ``Sample``; ``frame`` are footage numbers.
        """
        fit = self._fitter.fit(path)
        chosen = {} if fit is None else self._chosen(fit)
        images: dict[int, NDArray[np.uint8]] = {}
        if chosen:
            images = {
                frame.number: cut(frame.image, chosen[frame.number][1])
                for frame in open_footage(path, alone=True)
                if frame.number in chosen
            }
        numbers = sorted(images)
        empty = len(self._labels.points)
        mu, weight = np.zeros((len(numbers), empty, 2), np.float32), np.zeros((len(numbers), empty), np.float32)
        for n, number in enumerate(numbers):
            assert fit is not None
            mu[n], weight[n] = self._label(fit, *chosen[number])
        stacked = np.zeros((len(numbers), self._side, self._side, 3), np.uint8)
        for n, number in enumerate(numbers):
            stacked[n] = images[number]
        return {"image": stacked, "mu": mu, "weight": weight, "frame": np.array(numbers, np.int64)}

    def _chosen(self, fit: FittedTake) -> dict[int, tuple[int, Crop]]:
        """Footage number → index and wide crop of the frames to keep: good fits that look unlike each other."""
        seen = fit.alignment
        farthest = PROFILE if self._dense and seen.frame_count > 1 else FACING
        good = seen.found & (fit.presence >= PRESENCE) & (fit.error < BEYOND) & (fit.facing > farthest)
        kept: dict[int, tuple[int, Crop]] = {}
        shapes: list[NDArray[np.float64]] = []
        for t in np.flatnonzero(good)[::EVERY] if len(good) > 1 else np.flatnonzero(good):
            wide = self._wide(fit, int(t))
            shape = wide.points_from_image(seen.mu[t].astype(np.float64)) / self._nominal
            if all(np.sqrt(((shape - other) ** 2).sum(axis=1).mean()) >= MOVED for other in shapes):
                shapes.append(shape)
                kept[int(seen.numbers[t])] = (int(t), wide)
        spread = np.linspace(0, len(kept) - 1, min(MOST, len(kept))).round().astype(int)
        numbers = list(kept)
        return {numbers[i]: kept[numbers[i]] for i in spread}

    def _wide(self, fit: FittedTake, frame: int) -> Crop:
        crop = self._layout.crop(fit.positions(frame), self._nominal)
        return Crop(crop.x, crop.y, crop.side * self._side / self._nominal, crop.roll, size=self._side)

    def _label(self, fit: FittedTake, t: int, wide: Crop) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        seen = fit.alignment
        positions = np.concatenate([fit.positions(t), seen.mu[t]])
        told = seen.valid[t] & (fit.facing[t] > FACING)
        weight = self._labels.weights(
            seen.sigma[t], told, float(fit.inter_ocular_px[t]), float(fit.error[t]), dense=self._dense
        )
        return wide.points_from_image(positions).astype(np.float32), weight
