"""Photographs laid out in the canonical atlas, to dress rendered heads in real skin.

Made and used at training time only: the textures are pictures of people and are never committed or given away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.footage import open_footage
from backend.head_model.atlas_texels import AtlasTexels, cosine_of_sight, sample
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.posed import PosedHead
from backend.head_model.render import HeadRenderer, vertex_normals
from backend.training.real.fits import TakeFitter, cache_name
from backend.training.real.pictures import train_photographs
from backend.training.textures import FaceTexture

TEXTURE_SIDE = 512
VERSION = 2  # raise it whenever the same photograph would give another texture
WORK = 768  # px; side of the square around the head that is sampled, about the density of the texels
AROUND = 1.15  # that square's side over the extent of face and ears
FACING = (0.3, 0.6)  # cosine between normal and line of sight where a texel starts to count, and where it fully does
IN_FRONT = 0.003  # m by which something must be nearer to hide a texel
EDGE = (3.0, 14.0)  # px of the work picture from the silhouette where a texel starts to count, and where it fully does
UNLIKE = (18.0, 34.0)  # CIELAB distance from the skin's colour where skin may end, and where it has ended
BEYOND_FACE = 6.0  # texels over which coverage fades at the face's border: the neck is in the chin's shadow
HIDING_NOTHING = ("lashes",)

Picture = NDArray[np.uint8]
OnProgress = Callable[[int, int], None]


def textures_from_photographs(
    folder: Path, cache: Path, on_progress: OnProgress | None = None, *, photographs: Sequence[Path] | None = None
) -> list[FaceTexture]:
    """A texture of every photograph in ``folder`` (``../shared/data/photos``) of people of the train split.

    What is made is kept in ``cache``, a file for each photograph, so that a stopped run goes on where it was;
    ``photographs`` takes only these of them. ``on_progress(done, total)``. Photographs without a face are left out.

    Raises UserError: ``no_photos``, ``no_opengl``, ``bad_file`` for a damaged file in the cache.
    """
    paths = train_photographs(folder)
    if photographs is not None:
        paths = [path for path in paths if path in photographs]
    cache.mkdir(parents=True, exist_ok=True)
    found: list[FaceTexture] = []
    maker: TextureMaker | None = None
    try:
        for done, path in enumerate(paths, start=1):
            kept = cache / cache_name(path, "texture", VERSION)
            if not kept.is_file():
                maker = maker or TextureMaker(load_head("open"))
                _save(kept, maker.of_photograph(path))
            texture = _load(kept, f"{path.parent.name}/{path.stem}")
            if texture is not None:
                found.append(texture)
            if on_progress is not None:
                on_progress(done, len(paths))
    finally:
        if maker is not None:
            maker.close()
    return found


def _save(path: Path, texture: FaceTexture | None) -> None:
    if texture is None:
        write_npz(path, {"color": np.zeros((0, 0, 3), np.uint8)})
        return
    coverage = np.round(texture.coverage * 255).astype(np.uint8)
    write_npz(path, {"color": texture.color, "coverage": coverage, "skin_tone": texture.skin_tone})


def _load(path: Path, name: str) -> FaceTexture | None:
    side = TEXTURE_SIDE
    try:
        arrays = read_npz(path, "texture", 1 << 24)
    except UserError as error:
        raise UserError(error.code, error.message, "Delete it; it will be made again.") from error
    if arrays.get("color", np.empty(1)).size == 0:
        return None
    if (
        {n: (a.shape, a.dtype) for n, a in arrays.items()}
        != {
            "color": ((side, side, 3), np.dtype(np.uint8)),
            "coverage": ((side, side), np.dtype(np.uint8)),
            "skin_tone": ((3,), np.dtype(np.float32)),
        }
    ):  # fmt: skip
        raise UserError(ErrorCode.BAD_FILE, f"{path} does not hold a texture.", "Delete it; it will be made again.")
    return FaceTexture(arrays["color"], arrays["coverage"].astype(np.float32) / 255, name, arrays["skin_tone"])


class TextureMaker:
    """Takes textures off pictures of a head whose place is known, or of photographs; call ``close`` when done."""

    def __init__(self, head: HeadModel, side: int = TEXTURE_SIDE) -> None:
        self.head = head
        outer = _outer_skin(head)
        self._texels = AtlasTexels.of(head, side, outer)
        self._solid = ~np.any([head.regions[n] for n in HIDING_NOTHING], axis=0)[head.triangles].any(axis=1)
        self._fitter: TakeFitter | None = None
        regions = {name: mask.astype(np.float32) for name, mask in head.regions.items()}
        self._inside = {n: self._texels.on_surface(head, regions[n]) for n in ("face", "eyes", "mouth", "nose", "lips")}
        self._near_face = self._soft(self._inside["face"], BEYOND_FACE)
        self._height = self._texels.on_surface(head, head.template)[:, 1]
        self._brow_line = float(head.template[head.regions["eyes"], 1].max())

    def close(self) -> None:
        """Stop the aligner."""
        if self._fitter is not None:
            self._fitter.close()

    def of_photograph(self, path: Path) -> FaceTexture | None:
        """The texture of the largest face in a photograph; None where there is none."""
        self._fitter = self._fitter or TakeFitter(self.head)
        fit = self._fitter.fit(path)
        if fit is None:
            return None
        image = next(iter(open_footage(path, alone=True))).image
        placed = PosedHead(fit.vertices[0], fit.focal_px, fit.principal_point)
        return self.of_picture(image, placed, f"{path.parent.name}/{path.stem}")

    def of_picture(self, image: Picture, placed: PosedHead, name: str, *, evenly_lit: bool = False) -> FaceTexture:
        """The texture of an RGB picture (H,W,3) of a head that lies in it as ``placed``.

        ``evenly_lit`` says that there are no broad shadows to take off.
        """
        color, seen, normals = self._project(image, placed)
        if not evenly_lit:
            likely = seen * self._likely_skin(color, self._skin_color(color, seen))
            color = self._evenly_lit(color, likely, normals)
        skin = self._skin_color(color, seen)
        seen = seen * self._likely_skin(color, skin) * self._near_face
        return self._finish(color, seen, skin, name)

    def _project(
        self, image: Picture, placed: PosedHead
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Each texel's colour (n,3) in 0…255, how well it was seen (n,) in 0…1, and its normal (n,3)."""
        vertices = placed.vertices.astype(np.float64)
        square = self._square(placed.project(vertices))
        work = cut(image, square)
        zoom = WORK / square.side
        corner = np.array([square.x, square.y]) - square.side / 2
        middle = (np.array(placed.principal_point) - corner) * zoom
        with HeadRenderer((WORK, WORK)) as renderer:  # of its own: another's context may have become current since
            buffers = renderer.surface(
                vertices,
                self.head.triangles[self._solid],
                focal_px=placed.focal_px * zoom,
                principal_point=(float(middle[0]), float(middle[1])),
                world_to_camera=np.eye(3, 4),
            )
        points = self._texels.on_surface(self.head, vertices)
        normals = self._texels.on_surface(self.head, vertex_normals(vertices, self.head.triangles))
        at = (placed.project(points) - corner) * zoom
        facing = cosine_of_sight(points, normals)
        silhouette = cv2.distanceTransform((buffers.triangle >= 0).astype(np.uint8), cv2.DIST_L2, 5)
        nearest = np.where(np.isfinite(buffers.depth), buffers.depth, 0).astype(np.float32)
        visible = points[:, 2] < sample(nearest, at, cv2.INTER_NEAREST) + IN_FRONT
        seen = _rise(facing, *FACING) * visible * _rise(sample(silhouette, at), *EDGE)
        return sample(work, at), seen, normals

    def _square(self, positions: NDArray[np.float64]) -> Crop:
        shown = positions[self.head.regions["face"] | self.head.regions["ears"]]
        low, high = shown.min(axis=0), shown.max(axis=0)
        x, y = (low + high) / 2
        return Crop(float(x), float(y), AROUND * float((high - low).max()), size=WORK)

    def _evenly_lit(
        self, color: NDArray[np.float64], likely: NDArray[np.float64], normals: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The colours without the light's smooth falling off with the normal, which the renderer will put on anew.

        What the logarithm of the brightness of ``likely`` skin owes to the normal, fitted so that beards and highlights
        count little; only broad shadows are lightened, and not wholly, since taking off more also takes off complexion.
        """
        weight = likely * (self._inside["face"] > 0.5) * (self._inside["eyes"] < 0.5) * (self._inside["mouth"] < 0.5)
        x, y, z = (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).T
        terms = np.column_stack([np.ones_like(x), x, y, z, x * x])
        bright = np.log(np.maximum(color.mean(axis=1), 8.0))
        ridge = np.diag([1e-9] + [1e-3 * weight.sum() + 1e-9] * (terms.shape[1] - 1))
        robust, fitted = weight, np.zeros(terms.shape[1])
        for _ in range(6):
            fitted = np.linalg.solve((terms * robust[:, None]).T @ terms + ridge, (terms * robust[:, None]).T @ bright)
            robust = weight / (1 + ((bright - terms @ fitted) / 0.12) ** 2)
        shade = terms @ fitted
        if not weight.any():
            return color
        lacking = np.clip(np.average(shade, weights=weight) - shade, 0, 0.6)
        broad = self._soft(lacking * (weight > 0), 10) / np.maximum(self._soft((weight > 0).astype(float), 10), 1e-3)
        return np.asarray(np.clip(color * np.exp(0.7 * broad)[:, None], 0, 255))

    def _skin_color(self, color: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float32]:
        """The skin's typical sRGB colour (3,) in 0…1, of nose, cheeks and the middle of the face."""
        plain = (self._inside["face"] > 0.99) & (self._inside["eyes"] < 0.01) & (self._inside["mouth"] < 0.01)
        chosen = plain & (seen > 0.9) & (self._height < self._brow_line)
        upper = chosen & (self._height > np.quantile(self._height[chosen], 0.5)) if chosen.any() else chosen
        if not upper.any():
            return np.full(3, 0.5, np.float32)
        return np.asarray(np.median(color[upper], axis=0) / 255, np.float32)

    def _likely_skin(self, color: NDArray[np.float64], skin: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) 0 where hair, clothes or the wall were seen instead of skin.

        Brows, eyes, lips, nose and a beard belong to the face; above the brows and outside the face only what has the
        skin's colour does.
        """
        lab = cv2.cvtColor((color / 255).astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0]
        tone = cv2.cvtColor(skin[None, None], cv2.COLOR_RGB2LAB)[0, 0]
        # shading changes lightness more than it changes hue
        off = (lab - tone) * (0.7, 1.3, 1.3)
        off[off[:, 0] > 0, 0] *= 0.4  # and highlights are skin
        unlike = np.linalg.norm(off, axis=1)
        alike = self._texels.picture(1 - _rise(unlike, *UNLIKE), 1.0)
        # single hairs and pores do not end the skin, and its end is soft
        alike = cv2.GaussianBlur(cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), (0, 0), 3)
        own = alike[self._texels.rows, self._texels.columns].astype(np.float64)
        certain = self._inside["face"] * (self._height < self._brow_line)
        return np.where(self._teeth(lab), 0.0, np.maximum(certain, own))

    def _teeth(self, lab: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(n,) what is much paler than the lips it lies on, as teeth are where the fitted lips are not quite apart."""
        lips = self._inside["lips"] > 0.5
        usual = np.median(lab[lips], axis=0)
        chroma = np.linalg.norm(lab[:, 1:], axis=1)
        paler = chroma < np.linalg.norm(usual[1:]) - 5
        return np.asarray((self._inside["lips"] > 0.01) & (lab[:, 0] > usual[0] + 12) & paler)

    def _finish(
        self, color: NDArray[np.float64], seen: NDArray[np.float64], skin: NDArray[np.float32], name: str
    ) -> FaceTexture:
        texels = self._texels
        coverage = _largest_piece(texels.picture(seen))
        coverage = np.minimum(coverage, _softened(coverage))
        picture = texels.picture(color)
        other, theirs = picture[:, ::-1], coverage[:, ::-1]
        share = (coverage / np.maximum(coverage + (1 - coverage) * theirs, 1e-6))[..., None]
        picture = share * picture + (1 - share) * other
        coverage = coverage + (1 - coverage) * theirs
        smooth = _spread(picture, coverage, skin * 255)
        # what no photograph shows in the middle of a face (folded lids, the lips' inside) has its surroundings' colour
        held = coverage[..., None]
        picture = held * picture + (1 - held) * smooth
        return FaceTexture(
            np.clip(picture + 0.5, 0, 255).astype(np.uint8), self._closed(coverage).astype(np.float32), name, skin
        )

    def _closed(self, coverage: NDArray[np.float32]) -> NDArray[np.float32]:
        """The coverage with the holes of eyes, mouth and nose filled."""
        inner = np.maximum.reduce([self._inside[n] for n in ("eyes", "mouth", "nose")])
        return np.maximum(coverage, self._texels.picture(self._soft(inner, 2)))

    def _soft(self, values: NDArray[np.float64], texels: float) -> NDArray[np.float64]:
        """Values (n,) averaged over their neighbourhood in the atlas."""
        soft = cv2.GaussianBlur(self._texels.picture(values), (0, 0), texels)
        return np.asarray(soft[self._texels.rows, self._texels.columns], np.float64)


def _outer_skin(head: HeadModel) -> NDArray[np.bool_]:
    """(F,) triangles of the outer skin; eyeballs, teeth and what lies behind lips and lids are drawn otherwise."""
    inside = head.regions["mouth_bag"] | head.regions["eye_sockets"]
    return np.asarray(head.regions["skin"][head.triangles].all(axis=1) & ~inside[head.triangles].any(axis=1))


def _rise(value: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _largest_piece(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Only what hangs together: the front of the neck is seen too, but under the chin's shadow."""
    _, label, stats, _ = cv2.connectedComponentsWithStats((coverage > 0.1).astype(np.uint8))
    if len(stats) < 2:
        return coverage
    return np.asarray(coverage * (label == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())), np.float32)


def _softened(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage that fades towards its own border instead of ending there."""
    inner = cv2.erode(coverage, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    return np.asarray(cv2.GaussianBlur(inner, (0, 0), 3), np.float32)


def _spread(
    picture: NDArray[np.float32], coverage: NDArray[np.float32], beyond: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Covered colours carried smoothly over the rest, towards ``beyond`` far from them (normalised convolutions)."""
    result = np.broadcast_to(beyond, picture.shape).astype(np.float32)
    for width in (48, 24, 12, 6, 3):
        near = cv2.GaussianBlur(coverage, (0, 0), width)
        mean = cv2.GaussianBlur(picture * coverage[..., None], (0, 0), width) / np.maximum(near, 1e-6)[..., None]
        trust = np.clip(near / 0.05, 0, 1)[..., None]
        result = trust * mean + (1 - trust) * result
    return np.asarray(result, np.float32)
