"""A texture taken off a picture is the texture that the picture was drawn with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.datasets.splits import split_of_photo
from backend.errors import UserError
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.posed import PosedHead
from backend.head_model.render import HeadRenderer, look_at_head
from backend.training.real.pictures import train_photographs
from backend.training.real.textures import TEXTURE_SIDE, TextureMaker, textures_from_photographs
from backend.training.textures import FaceTexture

pytestmark = pytest.mark.slow

SIZE, FOCAL = 900, 3000.0


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def maker(head: HeadModel) -> TextureMaker:
    return TextureMaker(head)


def patterned() -> NDArray[np.uint8]:
    """Smooth blotches around a skin's colour, the left side other than the right."""
    rng = np.random.default_rng(3)
    noise = cv2.resize(rng.uniform(-1, 1, (24, 24, 3)), (TEXTURE_SIDE, TEXTURE_SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.array([200, 150, 130]) + 14 * noise, 0, 255).astype(np.uint8)


def drawn(head: HeadModel, texture: NDArray[np.uint8], yaw: float) -> tuple[NDArray[np.uint8], PosedHead]:
    """The head wearing the texture, and where it is; lit so evenly that only the renderer's slope with height stays."""
    camera = look_at_head(1.2, yaw, 0.0, head.template[head.regions["face"]].mean(axis=0).tolist())
    lens = (SIZE / 2 + 20.0, SIZE / 2 - 15.0)
    with HeadRenderer((SIZE, SIZE)) as renderer:
        picture = renderer.render(
            head.template,
            head.triangles,
            texture=texture,
            corner_uv=head.uv_vertices[head.uv_triangles],
            focal_px=FOCAL,
            principal_point=lens,
            world_to_camera=camera,
            lights=(),
            ambient=(1.0, 1.0, 1.0),
            gloss=0.0,
        )
    return picture, PosedHead((head.template @ camera[:, :3].T + camera[:, 3]).astype(np.float32), FOCAL, lens)


@pytest.mark.parametrize("yaw", [0.0, 0.5])
def test_what_was_drawn_is_what_is_found(head: HeadModel, maker: TextureMaker, yaw: float) -> None:
    painted = patterned()
    flat = np.full_like(painted, 160)
    shaded, posed = drawn(head, flat, yaw)
    picture, _ = drawn(head, painted, yaw)
    # the picture divided by that of a grey head has no shading left
    even = np.clip(picture.astype(float) / np.maximum(shaded, 1) * 160, 0, 255).astype(np.uint8)
    found = maker.of_picture(even, posed, "drawn", evenly_lit=True)
    # seen for itself, not lent by the other side, which has other blotches
    side = found.coverage > 0.5
    if yaw > 0:
        side[:, : TEXTURE_SIDE // 2 + 10] = False
    inner = ~(cv2.dilate(hidden(head), np.ones((5, 5), np.uint8)) > 0)
    off = np.abs(found.color.astype(float) - painted)[side & inner].mean(axis=1)
    assert len(off) > 20_000
    assert np.median(off) < 2.0
    assert np.quantile(off, 0.98) < 8.0


def hidden(head: HeadModel) -> NDArray[np.uint8]:
    """The atlas around eyes, nostrils and lips, where folds hide skin that is then filled in."""
    mask = np.zeros((TEXTURE_SIDE, TEXTURE_SIDE), np.uint8)
    folded = (head.regions["eyes"] | head.regions["mouth"] | head.regions["nose"])[head.triangles].any(axis=1)
    for corners in head.uv_vertices[head.uv_triangles[folded]]:
        cv2.fillConvexPoly(mask, np.round(corners * (1, -1) * TEXTURE_SIDE + (0, TEXTURE_SIDE)).astype(np.int32), 1)
    return mask


def test_eyes_teeth_and_the_back_of_the_head_are_not_covered(head: HeadModel, maker: TextureMaker) -> None:
    picture, posed = drawn(head, patterned(), 0.0)
    found = maker.of_picture(picture, posed, "drawn")

    def covered(vertices: NDArray[np.bool_]) -> NDArray[np.float32]:
        at = np.clip(head.uv[vertices] * (1, -1) * TEXTURE_SIDE + (0, TEXTURE_SIDE), 0, TEXTURE_SIDE - 1).astype(int)
        return found.coverage[at[:, 1], at[:, 0]]

    for part in ("left_eyeball", "right_eyeball", "teeth", "tongue"):
        assert covered(head.regions[part]).max() == 0
    assert covered(head.regions["skin"] & (head.template[:, 2] < -0.05)).max() < 0.05
    assert np.median(covered(head.regions["nose"])) > 0.95


def test_the_skin_tone_is_the_skins(head: HeadModel, maker: TextureMaker) -> None:
    picture, posed = drawn(head, np.full((TEXTURE_SIDE, TEXTURE_SIDE, 3), (180, 120, 90), np.uint8), 0.0)
    found = maker.of_picture(picture, posed, "drawn")
    ratio = found.skin_tone / found.skin_tone[0]
    assert ratio == pytest.approx(np.array([180, 120, 90]) / 180, abs=0.03)


def test_a_texture_lies_over_a_picture_by_its_coverage() -> None:
    share = np.array([[0.0, 0.5], [0.25, 1.0]], np.float32)
    texture = FaceTexture(np.full((2, 2, 3), 200, np.uint8), share, "even", np.full(3, 0.8, np.float32))
    assert texture.over(np.zeros((2, 2, 3), np.uint8))[..., 0].tolist() == [[0, 100], [50, 200]]
    with pytest.raises(ValueError, match="shape"):
        texture.over(np.zeros((4, 4, 3), np.uint8))


def test_only_people_of_the_train_split_lend_their_skin(shared_data: Path) -> None:
    paths = train_photographs(shared_data / "photos")
    assert len(paths) > 90
    assert {split_of_photo(path) for path in paths} == {"train"}


def test_the_cache_goes_on_where_it_was_and_refuses_a_damaged_file(shared_data: Path, tmp_path: Path) -> None:
    photos = shared_data / "photos"
    chosen = train_photographs(photos)[:2]
    heard: list[tuple[int, int]] = []
    first = textures_from_photographs(photos, tmp_path, photographs=chosen[:1])
    kept = next(tmp_path.glob("*.npz"))
    state = kept.stat().st_mtime_ns
    both = textures_from_photographs(photos, tmp_path, lambda n, total: heard.append((n, total)), photographs=chosen)
    assert heard == [(1, 2), (2, 2)]
    assert kept.stat().st_mtime_ns == state
    assert len(list(tmp_path.glob("*"))) == 2
    assert [texture.name for texture in both] == ["london_neutral/001_03", "london_neutral/004_03"]
    assert np.array_equal(both[0].color, first[0].color)
    kept.write_bytes(kept.read_bytes()[:2000])
    with pytest.raises(UserError) as refused:
        textures_from_photographs(photos, tmp_path, photographs=chosen)
    assert refused.value.code == "bad_file"
    assert "Delete it" in refused.value.hint


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        textures_from_photographs(tmp_path, tmp_path / "cache")
    assert refused.value.code == "no_photos"
