"""``flowface train`` and its helpers ``train-render``, ``train-sheet``, ``train-measure`` and ``train-export``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode
from backend.training.stop import Stop

ConfigName = Annotated[str, typer.Argument(help="A TOML file, or a configuration that comes along: small_cpu, paper.")]
Data = Annotated[Path, typer.Option(help="Folder of the development data: photos, clips and the ICT head.")]
PoolFolder = Annotated[Path | None, typer.Option(help="Folder of the training pictures; OUT/pool where left out.")]

DATA = Path("../shared/data")


def train(
    config: ConfigName,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for weights, checkpoint and log.")],
    data: Data = DATA,
    pool: PoolFolder = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes; --resume goes on.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the whole run, instead of the configuration's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with (.safetensors).")] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Encoder to begin with: SegFormer's (.safetensors) for b0 to b5, face_mesh's (.tflite)."),
    ] = None,
) -> None:
    """Train the alignment network; Ctrl+C stops it with a checkpoint, --resume goes on at the very step."""
    with Stop() as stop:  # before torch is loaded, which takes seconds and on a busy machine a minute
        typer.echo("getting ready; Ctrl+C ends the run in order")
        from rich.console import Console

        from backend.training.config import find_config, read_config
        from backend.training.loop import TrainRequest
        from backend.training.loop import train as run

        chosen = read_config(find_config(config))
        if steps is not None:
            chosen = replace(chosen, optimiser=replace(chosen.optimiser, steps=steps))
        run(TrainRequest(chosen, data, out, pool, minutes, resume, start, encoder), Console(), stop)


def train_render(
    config: ConfigName,
    pool: Annotated[Path, typer.Option(help="Folder of the training pictures.")],
    data: Data = DATA,
) -> None:
    """Make a configuration's training pictures ahead of time; may run several times at once on one folder."""
    from backend.training.config import find_config, read_config
    from backend.training.data.sources import jobs

    for job in jobs(data, pool, read_config(find_config(config))):
        job(lambda: None)


def train_sheet(
    config: ConfigName,
    pool: Annotated[Path, typer.Option(help="Folder of the training pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("augmented.png"),
    count: Annotated[int, typer.Option(help="How many samples.", min=1, max=400)] = 64,
    step: Annotated[int, typer.Option(help="The step whose draw to show.", min=0)] = 0,
) -> None:
    """Draw what the network sees: augmented samples with their points."""
    import cv2

    from backend.files import write_atomic
    from backend.head_model.library import load_head
    from backend.training.atlas_points import atlas_points
    from backend.training.augmentation.contact_sheet import augmented_sheet
    from backend.training.augmentation.sample import Augmenter
    from backend.training.config import find_config, read_config
    from backend.training.data.mixture import Mixture
    from backend.training.data.shards import Shard
    from backend.training.data.sources import real_shard, rendered_pool
    from backend.training.mirror import mirror_permutation

    chosen = read_config(find_config(config))
    open_head = load_head("open")
    augment = Augmenter(chosen.augment, chosen.network.image_size, mirror_permutation(open_head))
    real = Shard(real_shard(pool, "train")) if chosen.data.real_fraction else None
    mixture = Mixture(rendered_pool(pool, chosen, "train"), real, augment, chosen.data, chosen.run.seed)
    sheet = augmented_sheet([mixture.view(step, n) for n in range(count)], atlas_points(open_head))
    write_atomic(out, cv2.imencode(".png", sheet[..., ::-1])[1].tobytes(), public=True)
    typer.echo(f"{out}")


def train_measure(
    weights: Annotated[list[Path], typer.Argument(help="Weights (.safetensors), one or several.")],
    pool: Annotated[Path, typer.Option(help="Folder of the training pictures, whose held-out people are looked at.")],
    iterations: Annotated[
        list[int] | None, typer.Option(help="Iterations to run, instead of the network's own; may be repeated.", min=1)
    ] = None,
) -> None:
    """Tell how far weights are off on the people of a pool that no run learns from."""
    from rich.console import Console

    from backend.training.measure import accuracy_table, measure

    Console().print(accuracy_table(measure(weights, pool, iterations or ())))


def train_export(
    weights: Annotated[Path, typer.Argument(help="Weights that a run wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (.safetensors).")],
    sigma_scale: Annotated[float, typer.Option(help="What the aligner multiplies the network's σ with.")] = 1.0,
) -> None:
    """Write a run's weights as they are shipped: in half precision, with what σ is to be scaled by."""
    from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
    from backend.errors import UserError

    if not 0 < sigma_scale < 100:
        raise UserError(ErrorCode.BAD_OPTION, f"--sigma-scale is {sigma_scale:g}, but must lie between 0 and 100.")
    network, about = load_weights(weights), read_metadata(weights)
    kept: dict[str, str] = {key: about[key] for key in ("name", "step", "training", "accuracy") if key in about}
    save_weights(out, network, {**kept, "sigma_scale": f"{sigma_scale:g}"}, half=True)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
