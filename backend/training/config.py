"""The configuration of a training run: network, data, augmentation, optimisation; read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from backend.alignment.flowface.config import NetworkConfig
from backend.errors import ErrorCode, UserError
from backend.reading import read_bounded

MAX_CONFIG_BYTES = 1 << 20
CONFIGS = Path(__file__).with_name("configs")

Table = TypeVar("Table")


@dataclass(frozen=True)
class AugmentConfig:
    """Strength and frequency of the changes to pictures (seeds/000 D.2). What is not a range is a chance in 0…1."""

    rotation: float = 25.0  # degrees, the most a crop is turned
    rotation_sigma: float = 10.0  # degrees
    shift: float = 0.08  # of the crop's side, along each axis
    scale_low: float = 0.8  # of the crop's side
    scale_high: float = 1.3
    mirror: float = 0.5
    background: float = 0.3
    occlusion: float = 0.35
    veil: float = 0.25
    colour: float = 0.7
    grey: float = 0.08
    blur: float = 0.25
    low_resolution: float = 0.2
    noise: float = 0.4
    compression: float = 0.3


@dataclass(frozen=True)
class DataConfig:
    """The kinds of pictures and when they are in the draw.

    At step t the draw is among the first ``first_shards`` + t/``steps_per_shard`` shards, at most ``shards`` (all from
    the start where ``steps_per_shard`` is 0).
    """

    shards: int = 64
    per_shard: int = 512  # samples
    first_shards: int = 64
    steps_per_shard: int = 0
    dev_samples: int = 384
    real_fraction: float = 0.15  # of each batch; 0 trains on rendered pictures alone
    crop: int = 0  # side, in pixels, of the face's crop in the pictures that are made; 0 is network.image_size
    pictures: Literal["heads", "scans"] = "heads"  # what is rendered; scans ahead of time, by "flowface scans render"
    photo_textures: bool = True  # skin projected from photographs beside the painted one
    loaders: int = 1  # threads that load and augment ahead of the training


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser. The defaults are the paper's (seeds/001 §4), steps aside, which it does not tell."""

    steps: int = 120_000
    batch: int = 16
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    pretrained: bool = False  # begin with what the encoder face_mesh has learnt at MediaPipe
    encoder_rate: float = 1.0  # the encoder's learning rate over the rest's
    frozen_stages: int = 0  # of face_mesh's trunk, finest first, that stay as they were learnt; its stem with them
    schedule: Literal["steps", "cosine"] = "steps"
    drops: int = 2  # "steps": times ``drop_factor``, evenly over the run (every 2 of 6 epochs are two drops)
    drop_factor: float = 0.1
    final_rate: float = 0.01  # "cosine": the last step's rate over the first's
    rise_steps: int = 0  # linear warm-up
    fixed_sigma_steps: int = 0  # first so many steps train positions alone, by a robust distance
    clip: float = 1.0  # gradient norm; 0 clips nothing
    ema: float = 0.0  # decay of the averaged weights that are exported; 0 exports the last
    precision: Literal["f32", "bf16"] = "f32"
    decay: float = 0.8  # α of eq. 7
    dense: float = 0.01  # λ_dense of eq. 7
    matching: float = 0.0  # weight of ``matching_loss``; the paper has none
    matching_cells: int = 0  # of the atlas, drawn anew each step, that ``matching_loss`` looks at; 0 is all
    matching_steps: int = 0  # first so many steps train encoder and Z_uv alone, by ``matching_loss``


@dataclass(frozen=True)
class RunConfig:
    """The run's device, and how often it looks up from its work, in steps."""

    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False  # let torch.compile make the network's steps faster; wants a C++ compiler on the CPU
    threads: int = 0  # of torch on the CPU; 0 leaves torch's own choice
    log_every: int = 20
    checkpoint_every: int = 500
    validate_every: int = 500


@dataclass(frozen=True)
class TrainConfig:
    """One training run; ``name`` is the file's."""

    name: str
    run: RunConfig = field(default_factory=RunConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def as_dict(self) -> dict[str, Any]:
        """Every table and number, for logs, checkpoints and the model card."""
        return dataclasses.asdict(self)


def find_config(name: str) -> Path:
    """The file that ``name`` means: a path, or one of the configurations that come with the project.

    Raises UserError ``file_missing``.
    """
    for path in (Path(name), CONFIGS / f"{name}.toml"):
        if path.is_file():
            return path
    ours = ", ".join(sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.toml")))
    raise UserError(
        ErrorCode.FILE_MISSING, f"There is no training configuration {name}.", f"Name a TOML file, or one of {ours}."
    )


def read_config(path: Path) -> TrainConfig:
    """The configuration in a TOML file; what it leaves out keeps its default.

    Raises UserError ``bad_config``, naming file and field.
    """
    kinds = {
        **{"run": RunConfig, "network": NetworkConfig, "data": DataConfig},
        **{"augment": AugmentConfig, "optimiser": OptimiserConfig},
    }
    config = TrainConfig(path.stem, **read_tables(path, kinds))
    _check(config, path)
    return config


def read_tables(path: Path, kinds: Mapping[str, type[Any]]) -> dict[str, Any]:
    """A TOML file's tables as the frozen dataclasses ``kinds`` names them; what the file leaves out keeps its default.

    Raises UserError ``bad_config``, naming file and field.
    """
    try:
        tables = tomllib.loads(read_bounded(path, "configuration", MAX_CONFIG_BYTES).decode())
    except (UserError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(ErrorCode.BAD_CONFIG, f"The training configuration {path} cannot be read: {error}.") from error
    for name, table in tables.items():
        if name not in kinds or not isinstance(table, dict):
            raise bad_config(path, name, f"is not among the tables {', '.join(kinds)}")
    return {name: _table(kind, tables.get(name, {}), path, name) for name, kind in kinds.items()}


def _table(kind: type[Table], table: dict[str, Any], path: Path, name: str) -> Table:
    hints = get_type_hints(kind)
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        where = f"{name}.{key}"
        if key not in names:
            raise bad_config(path, where, f"is not among {', '.join(names)}")
        values[key] = _value(value, hints[key], path, where)
    try:
        return kind(**values)
    except ValueError as error:
        raise bad_config(path, name, f"contradicts itself: {error}") from error


def _value(value: object, kind: Any, path: Path, where: str) -> object:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise bad_config(path, where, f"is {value!r}, but must be one of {', '.join(get_args(kind))}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise bad_config(path, where, f"is {value!r}, but must be of type {kind.__name__}")
    return value


def _check(config: TrainConfig, path: Path) -> None:
    """Checks what types alone do not tell."""
    at_least_one = {
        "data.shards": config.data.shards,
        "data.per_shard": config.data.per_shard,
        "data.first_shards": config.data.first_shards,
        "data.dev_samples": config.data.dev_samples,
        "data.loaders": config.data.loaders,
        "optimiser.steps": config.optimiser.steps,
        "optimiser.batch": config.optimiser.batch,
        "run.log_every": config.run.log_every,
        "run.checkpoint_every": config.run.checkpoint_every,
        "run.validate_every": config.run.validate_every,
    }
    for where, number in at_least_one.items():
        if number < 1:
            raise bad_config(path, where, f"is {number}, but must be at least 1")
    ranges = ("rotation", "rotation_sigma", "shift", "scale_low", "scale_high")
    shares = {f"augment.{key}": value for key, value in vars(config.augment).items() if key not in ranges}
    shares |= {"data.real_fraction": config.data.real_fraction, "optimiser.ema": config.optimiser.ema}
    for where, share in shares.items():
        if not 0 <= share <= 1:
            raise bad_config(path, where, f"is {share}, but must lie in 0…1")
    if not 0 < config.augment.scale_low <= config.augment.scale_high:
        raise bad_config(path, "augment.scale_low", "must be above 0 and not above augment.scale_high")
    if config.data.crop and (config.data.crop < 32 or config.data.crop % 2):
        raise bad_config(path, "data.crop", f"is {config.data.crop}, but must be 0, or even and at least 32")
    if config.optimiser.pretrained and config.network.encoder != "face_mesh":
        raise bad_config(
            path, "optimiser.pretrained", "is for the encoder face_mesh; give others a file with --encoder"
        )
    if config.optimiser.frozen_stages and config.network.encoder != "face_mesh":
        raise bad_config(path, "optimiser.frozen_stages", "is for the encoder face_mesh")
    if config.optimiser.learning_rate <= 0:
        raise bad_config(path, "optimiser.learning_rate", "must be above 0")


def bad_config(path: Path, where: str, what: str) -> UserError:
    """The error of a field that is wrong; ``what`` ends the sentence “In …, FIELD …”."""
    return UserError(ErrorCode.BAD_CONFIG, f"In the training configuration {path}, {where} {what}.")
