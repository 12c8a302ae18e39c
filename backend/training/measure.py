"""Any weights on the held-out people of a pool: what ablations are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Table

from backend.alignment.flowface.weights_file import load_weights
from backend.errors import ErrorCode, UserError
from backend.head_model.library import load_head
from backend.training.data.pool import shard_path
from backend.training.data.shards import Shard
from backend.training.data.sources import real_shard
from backend.training.validate import Accuracy, Validation

REGIONS = ("face", "eyes", "mouth", "ears")


@dataclass(frozen=True)
class Measured:
    """``rendered`` people and ``real`` ones as one file's network sees them after ``iterations``."""

    name: str
    iterations: int
    rendered: Accuracy
    real: Accuracy | None


def measure(weights: Sequence[Path], pool: Path, iterations: Sequence[int] = ()) -> Iterator[Measured]:
    """Each file at each number of ``iterations``, or at its own. Raises UserError ``no_pool``, or as loading does."""
    rendered = shard_path(pool / "dev", 0)
    if not rendered.is_dir():
        raise UserError(
            ErrorCode.NO_POOL, f"{pool} holds no held-out pictures.", "Make them with “flowface train-render”."
        )
    real = real_shard(pool, "dev")
    shards = [Shard(path) for path in (rendered, real) if path.is_dir()]
    people = [[shard[index] for index in range(len(shard))] for shard in shards]
    device, open_head = torch.device("cpu"), load_head("open")
    for path in weights:
        network = load_weights(path)
        own = network.config
        validation = Validation(open_head, own.image_size)
        for count in iterations or (own.iterations,):
            network.config = replace(own, iterations=count)
            found = [validation(network, samples, device) for samples in people]
            yield Measured(path.stem, count, found[0], found[1] if len(found) > 1 else None)


def accuracy_table(rows: Iterable[Measured]) -> Table:
    """Mean distances in % of the frontal inter-ocular distance, as ``Accuracy`` has them."""
    columns = ("rendered", "seen", *REGIONS, "real", "ρ", "e/σ")
    table = Table(
        title="held-out people: mean distance in % of the inter-ocular distance",
        title_justify="left",
        caption="seen: of rendered points that nothing hides; regions: rendered; real: from MediaPipe's points; "
        "ρ: rank correlation of σ with the distance; e/σ: root mean square of their ratio, 1 is calibrated",
        caption_justify="left",
    )
    table.add_column("weights")
    for column in ("N", *columns):
        table.add_column(column, justify="right")
    for row in rows:
        seen = row.rendered
        real = row.real.regions.get("mediapipe", float("nan")) if row.real else float("nan")
        regions = (seen.regions.get(name, float("nan")) for name in REGIONS)
        figures = (seen.nme, seen.visible, *regions, real, seen.spearman, seen.calibration)
        table.add_row(row.name, str(row.iterations), *(f"{value:.2f}" for value in figures))
    return table
