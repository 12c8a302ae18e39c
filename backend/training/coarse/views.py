"""Augmented pictures as the coarse regressor learns from them: the trunk's features and all that the losses compare."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.files import read_npz, write_npz
from backend.head_model.model import HeadModel
from backend.training.atlas_points import atlas_points
from backend.training.augmentation.sample import Augmenter, jittered
from backend.training.coarse.config import CoarseConfig
from backend.training.coarse.framed import crop_turn, to_units
from backend.training.coarse.known import Known, Teller
from backend.training.coarse.network import CROP, FrozenTrunk
from backend.training.coarse.surface import EDGE, CoarseSurface
from backend.training.data.pool import Pool
from backend.training.data.shards import Shard
from backend.training.data.sources import person_of
from backend.training.samples import Sample

OUTLINE = 96
"""Points of a true silhouette that are kept, drawn at random."""
PICTURE = 32
"""Pixels of a side of the picture that eq. 3 compares: light and shade, no pores."""
BLOCK = 256
"""Views prepared at a time."""
REAL = 1 << 20
"""Added to the numbers of real people, whom no rendered one's number reaches."""
_MAX_BYTES = 1 << 26
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Views:
    """n views side by side; views 2j and 2j + 1 show one person (eq. 9).

    ``features (n,F)``; ``marks (n,478,2)`` in half sides from the crop's middle where ``weight (n,478)`` is above 0;
    ``outline (n,M,2)`` where ``outlined (n,M)``; ``picture (n,3,h,w)`` uint8; ``seen (n,W)`` bool, the mask of eq. 3.
    Where ``told (n,)``: ``identity (n,K)``, ``expression (n,K_ex)``, ``gaze (n,2,2)``, ``rotation (n,3,3)`` to the
    crop's camera, and ``sure (n,W)`` the vertices that the rendered head has; elsewhere they are 0.
    """

    features: Tensor
    marks: Tensor
    weight: Tensor
    outline: Tensor
    outlined: Tensor
    picture: Tensor
    seen: Tensor
    told: Tensor
    identity: Tensor
    expression: Tensor
    gaze: Tensor
    rotation: Tensor
    sure: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def at(self, index: Tensor) -> Views:
        """Only these of the views, numbers in float32."""
        chosen = (part[index] for part in vars(self).values())
        return Views(*(part.float() if part.is_floating_point() else part for part in chosen))


class ViewMaker:
    """Makes the views of a run: view n is a function of the configuration, the pool and n alone."""

    def __init__(
        self,
        head: HeadModel,
        config: CoarseConfig,
        pool: Pool,
        real: Shard | None,
        tell: Teller,
        surface: CoarseSurface,
    ) -> None:
        self._head, self._config, self._pool, self._real, self._tell = head, config, pool, real, tell
        mirror = np.arange(len(atlas_points(head)))  # no crop is mirrored
        self._augment = Augmenter(config.augment, CROP, mirror)
        self._surface, self._skin = surface, surface.face.numpy()
        self._people: dict[str, list[int]] = {}
        for number, source in enumerate(real.sources if real is not None else ()):
            self._people.setdefault(person_of(source.split(" ")[1]), []).append(number)

    def block(self, number: int, size: int, trunk: FrozenTrunk) -> dict[str, NDArray[np.generic]]:
        """The arrays of views number·size to the next block's first; ``size`` is even."""
        rows, pictures = [], []
        for pair in range(number * size // 2, (number + 1) * size // 2):
            for row, picture in self._pair(pair):
                rows.append(row)
                pictures.append(picture)
        arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        shown = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        features = torch.cat([trunk(part) for part in torch.split(shown, 16)])
        return {"features": features.half().numpy(), **arrays}

    def _pair(self, pair: int) -> Iterator[tuple[dict[str, NDArray[np.generic]], NDArray[np.uint8]]]:
        """Two views of one person."""
        rng = np.random.default_rng([self._config.run.seed, pair])
        if self._real is not None and rng.random() < self._config.data.real_fraction:
            # of all pictures, so that a person counts as often as there are pictures of them
            first = int(rng.integers(len(self._real)))
            people = self._people[person_of(self._real.sources[first].split(" ")[1])]
            samples = [self._real[first], self._real[int(rng.choice(people))]]
            known = None
        else:
            index = int(rng.integers(self._config.data.shards * self._config.data.per_shard))
            shard, place = divmod(index, self._config.data.per_shard)
            sample = self._pool.shard(shard)[place]
            samples = [sample, sample]
            known = self._tell(index, sample, self._pool.path(shard))
        for one, sample in enumerate(samples):
            yield self.view(sample, known, [self._config.run.seed, pair, one])

    def view(
        self, sample: Sample, known: Known | None, seed: list[int]
    ) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.uint8]]:
        """The arrays of one view without its features, and the picture that the trunk is shown."""
        # the augmenter's first draw is the crop, which the rotation is told in
        crop = jittered(sample.crop, self._config.augment, CROP, np.random.default_rng(seed))
        changed = self._augment(sample, np.random.default_rng(seed))
        units = to_units(changed.mu, CROP)
        vertices = self._surface.vertices
        inside = np.abs(units).max(axis=1) < 1
        shown = (changed.visible & inside)[vertices] & self._skin
        size, count = self._config.network.identity, len(self._head.expression_basis)
        marks = slice(self._head.vertex_count, None)
        small = cv2.resize(changed.image, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)
        row: dict[str, NDArray[np.generic]] = {
            "marks": units[marks].astype(np.float32),
            "weight": changed.weight[marks].astype(np.float32),
            "outline": np.zeros((OUTLINE, 2), np.float32),
            "outlined": np.zeros(OUTLINE, bool),
            "picture": np.ascontiguousarray(small.transpose(2, 0, 1)),
            "seen": shown,
            "told": np.array(known is not None),
            "identity": np.zeros(size, np.float32),
            "expression": np.zeros(count, np.float32),
            "gaze": np.zeros((2, 2), np.float32),
            "rotation": np.eye(3, dtype=np.float32),
            "sure": np.zeros(len(vertices), bool),
        }
        if known is not None:
            edge = np.flatnonzero(self._edge(known) & shown)
            if len(edge):
                kept = np.random.default_rng([*seed, 1]).permutation(edge)[:OUTLINE]
                row["outline"][: len(kept)] = units[vertices[kept]]
                row["outlined"][: len(kept)] = True
            row |= {
                "identity": known.identity.astype(np.float32),
                "expression": known.expression.astype(np.float32),
                "gaze": known.gaze.astype(np.float32),
                "rotation": (crop_turn(crop, known.camera) @ known.rotation).astype(np.float32),
                "sure": known.sure[vertices],
            }
        return row, changed.image

    def _edge(self, known: Known) -> NDArray[np.bool_]:
        """(W,) true vertices whose normals stand across the line of sight to them."""
        seen = known.vertices[self._surface.vertices]
        normals = self._surface.normals(torch.from_numpy(seen[None]))[0].numpy()
        across = (normals * seen).sum(1) / np.linalg.norm(seen, axis=1)
        return np.abs(across) < EDGE


def prepare(maker: ViewMaker, config: CoarseConfig, folder: Path, on_block: Callable[[int, int], None]) -> Views:
    """All views of a run, made where ``folder`` does not hold them yet; ``on_block(done, of)`` may raise to stop.

    What was made before a stop is not made again. Raises UserError ``bad_file``, naming the file, for a damaged block.
    """
    size = min(BLOCK, config.data.views + config.data.views % 2)
    blocks = math.ceil(config.data.views / size)
    # more views are more blocks: those that are there stay
    told = [
        _VERSION,
        vars(replace(config.data, views=1)),
        vars(config.augment),
        config.network.identity,
        config.run.seed,
    ]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    trunk: FrozenTrunk | None = None
    parts = []
    for number in range(blocks):
        on_block(number, blocks)
        path = folder / f"views-{key.hexdigest()[:12]}-{size}-{number:04}.npz"
        if not path.is_file():
            trunk = trunk or FrozenTrunk()
            folder.mkdir(parents=True, exist_ok=True)
            write_npz(path, maker.block(number, size, trunk), compress=False)
        parts.append(read_npz(path, "block of views", _MAX_BYTES))
    on_block(blocks, blocks)
    names = Views.__dataclass_fields__
    return Views(**{name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in names})


def mean_albedo(samples: Sequence[Sample], vertices: NDArray[np.intp]) -> NDArray[np.float32]:
    """(W,3) in 0…1: the mean colour of each vertex over the samples that show it; the mean of all where none does.

    Light comes from everywhere in many pictures, and its mean is even.
    """
    total, count = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    for sample in samples:
        place = np.floor(sample.mu[vertices]).astype(int)
        inside = np.all((place >= 0) & (place < len(sample.image)), axis=1) & sample.visible[vertices]
        total[inside] += sample.image[place[inside, 1], place[inside, 0]]
        count += inside
    everywhere = total.sum(0) / max(float(count.sum()), 1.0)
    mean = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], everywhere)
    return np.asarray(mean / 255, np.float32)
