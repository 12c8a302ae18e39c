"""The configuration of the coarse regressor's training, read from TOML."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.alignment.flowface.config import NetworkConfig
from backend.training.config import AugmentConfig, DataConfig, RunConfig, TrainConfig, bad_config, read_tables

MOST_VIEWS = 131_072
"""Views are held in memory, 20 kB each."""


@dataclass(frozen=True)
class CoarseData:
    """The pictures; ``shards`` to ``crop`` name a pool as ``DataConfig`` does, so that runs may share one."""

    shards: int = 4
    per_shard: int = 512
    dev_samples: int = 384
    crop: int = 192  # pixels, side of the face's crop in the pool's pictures
    photo_textures: bool = True
    real_fraction: float = 0.15  # of the views; 0 trains on rendered pictures alone
    views: int = 2048  # augmented pictures, each looked at by the encoder once


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


@dataclass(frozen=True)
class CoarseAugment(AugmentConfig):
    """As the alignment network's pictures are changed, but for the mirror: a mirrored face has other coefficients."""

    mirror: float = 0.0


@dataclass(frozen=True)
class CoarseConfig:
    """One training of the coarse regressor; ``name`` is the file's."""

    name: str
    run: RunConfig = field(default_factory=RunConfig)
    data: CoarseData = field(default_factory=CoarseData)
    network: CoarseNetworkConfig = field(default_factory=CoarseNetworkConfig)
    weights: CoarseWeights = field(default_factory=CoarseWeights)
    optimiser: CoarseOptimiser = field(default_factory=CoarseOptimiser)
    augment: CoarseAugment = field(default_factory=CoarseAugment)

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
    kinds: dict[str, type[Any]] = {
        **{"run": RunConfig, "data": CoarseData, "network": CoarseNetworkConfig, "weights": CoarseWeights},
        **{"optimiser": CoarseOptimiser, "augment": CoarseAugment},
    }
    config = CoarseConfig(path.stem, **read_tables(path, kinds))
    _check(config, path)
    return config


def _check(config: CoarseConfig, path: Path) -> None:
    """Checks what types alone do not tell."""
    for name in ("data", "network", "optimiser"):
        for key, value in vars(getattr(config, name)).items():
            least = 0 if key == "pretraining_steps" else 1
            if type(value) is int and value < least:
                raise bad_config(path, f"{name}.{key}", f"is {value}, but must be at least {least}")
    most = {"data.views": MOST_VIEWS, "network.hidden": 2048, "optimiser.batch": 4096}
    for where, limit in most.items():
        name, key = where.split(".")
        if getattr(getattr(config, name), key) > limit:
            raise bad_config(path, where, f"must be at most {limit}")
    for where, number in {
        **{f"weights.{key}": weight for key, weight in vars(config.weights).items()},
        "optimiser.weight_decay": config.optimiser.weight_decay,
    }.items():
        if number < 0:
            raise bad_config(path, where, f"is {number}, but must not be below 0")
    shares = {"data.real_fraction": config.data.real_fraction, "network.dropout": config.network.dropout}
    for where, share in shares.items():
        if not 0 <= share < 1:
            raise bad_config(path, where, f"is {share}, but must be at least 0 and below 1")
    if config.optimiser.learning_rate <= 0:
        raise bad_config(path, "optimiser.learning_rate", "must be above 0")
    if config.optimiser.batch % 2:
        raise bad_config(path, "optimiser.batch", "must be even: pictures of one person come in pairs")
    if config.augment.mirror:
        raise bad_config(path, "augment.mirror", "must be 0: a mirrored face has other coefficients")
    if config.data.crop < 64 or config.data.crop % 16:
        raise bad_config(path, "data.crop", f"is {config.data.crop}, but must be at least 64 and a multiple of 16")
