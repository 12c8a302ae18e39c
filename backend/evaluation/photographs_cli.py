"""``flowface evaluate-photographs``: how good heads made of photographs are, against known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.alignment.registry import DEFAULT_ALIGNER, require_aligner
from backend.datasets.splits import SPLITS
from backend.errors import ErrorCode, UserError


def evaluate_photographs(
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON file of the figures.")] = Path(
        "flowface-photographs.json"
    ),
    data: Annotated[Path, typer.Option(help="Folder with ict/, photos/ and scan/.")] = Path("../shared/data"),
    split: Annotated[str, typer.Option(help="Whose faces: test to publish, dev to choose constants.")] = "dev",
    aligner: Annotated[str, typer.Option(help="What finds the face's points.")] = DEFAULT_ALIGNER,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the rendered photographs; the system's cache where left out.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two people in four photographs each.")] = False,
) -> None:
    """Measure heads made of photographs: of rendered people, and in test of a scan's views and of a face that was
    photographed from known distances."""
    from backend.evaluation.benchmark import default_cache
    from backend.evaluation.photographs import measure
    from backend.files import write_atomic

    if split not in SPLITS:
        raise UserError(ErrorCode.BAD_SPLIT, f"There is no split “{split}”.", f"There are {', '.join(SPLITS)}.")
    require_aligner(aligner)
    where = cache or default_cache()
    records = []
    for record in measure(split, data, aligner, where / "aligned", where, quick=quick):
        typer.echo(_line(record))
        records.append(record)
        write_atomic(out, json.dumps(records, indent=1).encode())


def _line(record: dict[str, Any]) -> str:
    words = [f"{record['stills']}: {record['seen']} stills, {record['apart_deg']:.0f}° apart"]
    words += [f"{name} {record[key]:.2f} mm" for name, key in _DISTANCES if record.get(key) is not None]
    if "focal_off" in record:
        words += [f"focal lengths off by {record['focal_off']:.1%}, {record['focal_off_most']:.1%} at most"]
    if "depth_cm" in record:
        told = ", ".join(f"{d:.1f} of {t:.0f}" for d, t in zip(record["depth_cm"], record["true_cm"], strict=True))
        words += [f"distances {told} cm", f"focal lengths of one lens alike to {record['focal_spread']:.1%}"]
    return "; ".join(words)


_DISTANCES = (("neutral off by", "cd_mm"), ("posed as the first still by", "posed_cd_mm"))
