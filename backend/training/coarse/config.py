"""The configuration of the coarse regressor's training, read from TOML."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from backend.alignment.flowface.config import NetworkConfig
from backend.training.config import AugmentConfig, DataConfig, RunConfig, TrainConfig, bad_config, read_tables


@dataclass(frozen=True)
class CoarseData:
    """The pictures; ``shards`` to ``crop`` name a pool as ``DataConfig`` does, so that runs may share one."""

    shards: int = 6
    per_shard: int = 256
    dev_samples: int = 128
    crop: int = 192  # pixels, side of the face's crop in the pool's pictures
    photo_textures: bool = True
    real_fraction: float = 0.15  # of the views; 0 trains on rendered pictures alone
    views: int = 12288  # augmented pictures, each looked at by the encoder once


@dataclass(frozen=True)
class CoarseNetworkConfig:
    """The head behind MediaPipe's trunk, which stays as it is."""

    identity: int = 40  # of the open head's identity components, the first ones
    hidden: int = 256
    dropout: float = 0.1


@dataclass(frozen=True)
class CoarseWeights:
    """The losses' weights. Those of eq. 16 as the supplement gives them, in its unit: the picture's half side is 1.

    ``regularisation`` is larger than its 1e-5: that was for millions of pictures.
    """

    silhouette: float = 0.5
    landmarks: float = 0.5
    pairs: float = 1.0
    photometric: float = 0.2  # eq. 16 has 2; a mean albedo explains less of a picture than a predicted one
    regularisation: float = 1e-4
    consistency: float = 1.0
    truth: float = 1.0  # of rendered heads: vertices in head space, gaze and rotation; the paper has no truth


@dataclass(frozen=True)
class CoarseOptimiser:
    """AdamW with a cosine that falls to a hundredth; ``pretraining_steps`` of eq. 10 come first."""

    steps: int = 6000
    pretraining_steps: int = 1000
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    precision: Literal["f32"] = "f32"


@dataclass(frozen=True)
class CoarseConfig:
    """One training of the coarse regressor; ``name`` is the file's."""

    name: str
    run: RunConfig = field(default_factory=RunConfig)
    data: CoarseData = field(default_factory=CoarseData)
    network: CoarseNetworkConfig = field(default_factory=CoarseNetworkConfig)
    weights: CoarseWeights = field(default_factory=CoarseWeights)
    optimiser: CoarseOptimiser = field(default_factory=CoarseOptimiser)
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(mirror=0.0))

    def as_dict(self) -> dict[str, Any]:
        """Every table and number, for checkpoints and the weights' metadata."""
        return dataclasses.asdict(self)

    @property
    def pool(self) -> TrainConfig:
        """The configuration by which ``train-render`` makes the same pictures."""
        data = self.data
        return TrainConfig(
            self.name,
            run=self.run,
            network=NetworkConfig(image_size=data.crop, uv_size=data.crop // 4),
            data=DataConfig(
                shards=data.shards,
                per_shard=data.per_shard,
                dev_samples=data.dev_samples,
                crop=data.crop,
                photo_textures=data.photo_textures,
                real_fraction=data.real_fraction,
            ),
        )


def read_coarse_config(path: Path) -> CoarseConfig:
    """The configuration in a TOML file; what it leaves out keeps its default.

    Raises UserError ``bad_config``, naming file and field.
    """
    kinds = {item.name: item.default_factory for item in dataclasses.fields(CoarseConfig) if item.name != "name"}
    kinds["augment"] = AugmentConfig
    tables = read_tables(path, kinds)  # type: ignore[arg-type]
    config = CoarseConfig(path.stem, **tables)
    counts = {
        f"{table}.{key}": value
        for table in ("data", "network", "optimiser")
        for key, value in vars(tables[table]).items()
        if isinstance(value, int) and not isinstance(value, bool) and key != "pretraining_steps"
    }
    for where, number in counts.items():
        if number < 1:
            raise bad_config(path, where, f"is {number}, but must be at least 1")
    if config.optimiser.batch % 2:
        raise bad_config(path, "optimiser.batch", "must be even: pictures of one person come in pairs")
    if config.augment.mirror:
        raise bad_config(path, "augment.mirror", "must be 0: a mirrored face has other coefficients")
    for where, share in {
        "data.real_fraction": config.data.real_fraction,
        "network.dropout": config.network.dropout,
    }.items():
        if not 0 <= share < 1:
            raise bad_config(path, where, f"is {share}, but must be at least 0 and below 1")
    if config.data.crop < 64 or config.data.crop % 16:
        raise bad_config(path, "data.crop", f"is {config.data.crop}, but must be at least 64 and a multiple of 16")
    for key, weight in vars(config.weights).items():
        if weight < 0:
            raise bad_config(path, f"weights.{key}", f"is {weight}, but must not be below 0")
    return replace(config)
