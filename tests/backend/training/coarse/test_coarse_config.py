"""A coarse regressor's configuration says what is wrong with it, and names a pool as train-render does."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import UserError
from backend.training.coarse.config import CoarseWeights, read_coarse_config
from backend.training.config import find_config, read_config
from backend.training.data.sources import Part, rendered_pool


def test_the_configuration_that_comes_along_is_sound() -> None:
    config = read_coarse_config(find_config("coarse/cpu"))
    assert config.name == "cpu"


def test_its_pictures_are_those_of_face_cpu(tmp_path: Path) -> None:
    """What “train-render face_cpu” makes is the pool that it asks for, seeds, sizes and all."""
    config, others = read_coarse_config(find_config("coarse/cpu")), read_config(find_config("face_cpu"))
    parts: tuple[Part, ...] = ("train", "dev")
    for part in parts:
        made = rendered_pool(tmp_path, others, part)
        assert rendered_pool(tmp_path, config.pool, part).spec == made.spec
    assert config.data.shards <= others.data.shards


def test_the_papers_weights() -> None:
    own = CoarseWeights()
    assert (own.silhouette, own.landmarks, own.pairs, own.consistency) == (0.5, 0.5, 1.0, 1.0)  # eq. 16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[optimizer]\nsteps = 1", "optimizer"),
        ("[data]\nview = 1", "data.view"),
        ("[data]\nviews = 0", "data.views"),
        ("[data]\nviews = 1000000000", "data.views"),
        ("[data]\ncrop = 100", "data.crop"),
        ("[data]\nreal_fraction = 1.0", "data.real_fraction"),
        ("[network]\nidentity = 1.5", "network.identity"),
        ("[network]\ndropout = 1.0", "network.dropout"),
        ("[optimiser]\nbatch = 7", "optimiser.batch"),
        ("[weights]\npairs = -1.0", "weights.pairs"),
        ("[augment]\nmirror = 0.5", "augment.mirror"),
        ("[data", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_coarse_config(path)
    assert caught.value.code == "bad_config"
    assert "mine.toml" in caught.value.message
    assert said in caught.value.message


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[optimiser]\nsteps = 10", encoding="utf-8")
    config = read_coarse_config(path)
    assert config.optimiser.steps == 10
    assert config.augment.mirror == 0
