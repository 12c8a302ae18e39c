"""A training configuration says what is wrong with it, and schedules are functions of the step."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from backend.errors import UserError
from backend.training.config import CONFIGS, OptimiserConfig, find_config, read_config
from backend.training.schedule import learning_rate


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_configuration_that_comes_along_is_sound(path: Path) -> None:
    assert read_config(find_config(path.stem)).name == path.stem


def test_the_papers_numbers() -> None:
    paper = read_config(find_config("paper"))
    network, optimiser = paper.network, paper.optimiser
    assert (network.encoder, network.image_size, network.uv_size, network.iterations) == ("b5", 512, 64, 3)
    thirds = [learning_rate(round(share * optimiser.steps), optimiser) for share in (0, 0.3, 0.35, 0.65, 0.7, 1)]
    assert thirds == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    assert (optimiser.decay, optimiser.dense, optimiser.fixed_sigma_steps) == (0.8, 0.01, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[optimizer]\nsteps = 1", "optimizer"),
        ("[optimiser]\nstep = 1", "optimiser.step"),
        ("[optimiser]\nsteps = 1.5", "optimiser.steps"),
        ("[optimiser]\nsteps = true", "optimiser.steps"),
        ("[optimiser]\nschedule = 'sine'", "optimiser.schedule"),
        ("[augment]\nmirror = 2.0", "augment.mirror"),
        ("[augment]\nscale_low = 1.5", "augment.scale_low"),
        ("[data]\nper_shard = 0", "data.per_shard"),
        ("[network]\nimage_size = 100", "network"),
        ("network = 3", "network"),
        ("[run", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert caught.value.code == "bad_config"
    assert "mine.toml" in caught.value.message
    assert said in caught.value.message


def test_whole_numbers_do_for_fractions(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[optimiser]\nclip = 2", encoding="utf-8")
    assert read_config(path).optimiser.clip == 2.0


def test_an_unknown_configuration_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="small_cpu"):
        find_config("nowhere")


def test_the_cosine_rises_then_falls_to_its_last_rate() -> None:
    config = OptimiserConfig(steps=1000, learning_rate=1.0, schedule="cosine", rise_steps=100, final_rate=0.01)
    rates = [learning_rate(step, config) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert max(rates) == pytest.approx(1, abs=0.03)
    assert rates[1000] == pytest.approx(0.01)
    assert all(later <= earlier for earlier, later in pairwise(rates[100:]))
