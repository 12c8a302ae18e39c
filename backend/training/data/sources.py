"""The sources of a run's pictures: rendered heads and real people.

Each is split into those learnt from and a few others on whom the run looks at itself. Both are of the train split;
nothing here ever sees a test person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from backend.datasets.splits import person_number
from backend.errors import ErrorCode, UserError
from backend.training.config import TrainConfig
from backend.training.data.pool import MakeSource, Pool, PoolSpec, Source, fill
from backend.training.data.shards import write_shard

Part = Literal["train", "dev"]
Job = Callable[[Callable[[], None]], None]
"""Work for the process in the background; calls what it is given often, which may raise to stop it."""

EVERY, FIRST = 7, 3
"""Of the sorted train people, every seventh from the fourth is only looked at."""

_DEV_SEED = 7919  # added to the run's seed: other identities, poses and lights


def held_out(people: Sequence[str]) -> set[str]:
    """Those of ``people`` whom a run looks at itself on and never learns from."""
    return set(sorted(set(people))[FIRST::EVERY])


def person_of(name: str) -> str:
    """The person in ``set/022_08``, a photograph, or ``clips/grid_bbaf2n``; clips of one series count as one."""
    folder, _, file = name.rpartition("/")
    return "_".join(file.split("_")[:2]) if folder == "clips" else str(person_number(file))


@contextmanager
def open_synthetic(data: Path, cache: Path, config: TrainConfig, part: Part) -> Iterator[Source]:
    """The renderer of the heads, dressed in the skin of train photographs where ``config`` has it so.

    For ``part`` "dev" in that of the people held out.
    """
    with contextlib.suppress(ImportError):
        import triton  # type: ignore[import-untyped]  # noqa: F401  # torch loads it later, and that crashes once Mesa's LLVM is in the process
    from backend.training.real.textures import textures_from_photographs
    from backend.training.synthetic.source import SyntheticSource

    textures = textures_from_photographs(data / "photos", cache / "textures") if config.data.photo_textures else []
    kept_back = held_out([person_of(texture.name) for texture in textures])
    textures = [texture for texture in textures if (person_of(texture.name) in kept_back) == (part == "dev")]
    ict = data / "ict" / "ict_facekit.npz"
    with SyntheticSource(ict, textures, cache, picture_size(config)) as source:
        yield source


def write_real(data: Path, cache: Path, folder: Path, config: TrainConfig, alive: Callable[[], None]) -> None:
    """Shards ``real-train`` and ``real-dev`` in ``folder`` of what there is of real pictures, unless they are there."""
    from backend.training.real.source import RealSource

    if _real_is_there(folder):
        return
    size = picture_size(config)
    source = RealSource(data, cache / "real", on_progress=lambda _done, _total: alive(), nominal=size)
    samples = [source.sample(index) for index in range(len(source))]
    people = [person_of(sample.source.split(" ")[1]) for sample in samples]
    kept_back = held_out(people)
    for part in ("dev", "train"):
        chosen = [s for s, person in zip(samples, people, strict=True) if (person in kept_back) == (part == "dev")]
        if not real_shard(folder, part).is_dir():
            write_shard(real_shard(folder, part), chosen)


def real_shard(folder: Path, part: Part) -> Path:
    """The folder to which ``write_real`` writes the shard of ``part``."""
    return folder / f"real-{part}"


def _real_is_there(folder: Path) -> bool:
    return all(real_shard(folder, part).is_dir() for part in ("train", "dev"))


def picture_size(config: TrainConfig) -> int:
    """The side, in pixels, of the nominal crop in the pictures that ``config`` learns from."""
    return config.data.crop or config.network.image_size


def rendered_pool(folder: Path, config: TrainConfig, part: Part) -> Pool:
    """The pool of rendered samples in ``folder`` that ``config`` asks for; raises UserError ``other_pool``."""
    seed = config.run.seed + (_DEV_SEED if part == "dev" else 0)
    skins = "skins painted and from photographs" if config.data.photo_textures else "painted skins"
    per_shard = config.data.dev_samples if part == "dev" else config.data.per_shard
    content = f"open, MakeHuman and ICT heads, crops of {picture_size(config)} pixels, {skins}"
    if config.data.pictures == "scans":
        content = f"registered scans, crops of {picture_size(config)} pixels"
    return Pool(folder / part, PoolSpec(seed, per_shard, content))


def make_synthetic(data: Path, cache: Path, config: TrainConfig, part: Part) -> MakeSource:
    """``open_synthetic`` as other processes can call it."""
    return partial(open_synthetic, data, cache, config, part)


def jobs(data: Path, folder: Path, config: TrainConfig) -> list[Job]:
    """What ``folder`` must come to hold for ``config`` and does not yet, what is needed first before the rest.

    Raises UserError ``no_pool`` where ``config`` learns from scans and they are not rendered yet.
    """
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    dev, train = (rendered_pool(folder, config, part) for part in ("dev", "train"))
    make_dev, make_train = (make_synthetic(data, cache, config, part) for part in ("dev", "train"))
    real: list[Job] = []
    if config.data.real_fraction and not _real_is_there(folder):
        real = [partial(write_real, data, cache, folder, config)]
    if config.data.pictures == "scans":
        for pool, shards in ((dev, 1), (train, config.data.shards)):
            if not pool.holds(shards):
                raise UserError(
                    ErrorCode.NO_POOL,
                    f"{pool.folder} does not hold the {shards} shards of rendered scans that {config.name} asks for.",
                    "Make them with “flowface scans render”.",
                )
        return real
    parts = ((dev, make_dev, 1), (train, make_train, config.data.shards))
    return [*real, *(partial(fill, p.folder, p.spec, make, shards) for p, make, shards in parts if not p.holds(shards))]
