"""A person's neutral face from elsewhere, as a prior of the fit (E_MICA of seeds/001 eq. 12 and §3.2.2).

The paper takes MICA's prediction, averaged over the frames. Anything that says where a head's vertices lie in a
person's neutral may take its place: an earlier, better take of the same person, a sculpt, a fitted scan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_npz
from backend.footage import IMAGE_SUFFIXES, open_footage
from backend.head_model.converters.obj import FURTHEST, read_obj_vertices
from backend.head_model.model import HeadModel
from backend.head_model.rigid import Similarity, similarity_between
from backend.observations import PointSet
from backend.reading import require_file
from backend.track.geometry import neutral_of
from backend.track.io import load_track
from protocol.job import MICA

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.head_model.mica.model import Mica

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

UNITS = (1.0, 0.1, 0.01, 0.001)
"""Metres per unit that a mesh may be in: metres, decimetres, centimetres, millimetres."""
FARTHEST_PERSON = 0.1
"""m, mean over the face between a person's neutral and the mean one: ten times what people differ by."""
MAX_BYTES = 256 << 20  # of the arrays of a track or a mesh
MICA_PICTURES = 16
"""Frames that MICA looks at, spread over the take: what differs between them falls to a quarter. Each takes 0.3 s
of one core."""
LARGEST_SCALE = 1.6
"""Heads differ in size by less; a mesh that does not fit in any unit is something else."""
LARGEST_DISTANCE = 0.02
"""m, RMS from the mean head over the face. People measure 3 to 8 mm; vertices in another order, 60 mm and more."""


@dataclass(frozen=True, eq=False)
class FacePicture:
    """A frame of the take: RGB picture (H,W,3), and the point sets that the aligner saw in it, of one frame each."""

    image: NDArray[np.uint8]
    point_sets: tuple[PointSet, ...]


class NeutralPredictor(Protocol):
    """Anything that predicts a person's neutral vertices.

    ``pictures_wanted`` is how many frames of the take it looks at; one that wants none is asked before the take is
    aligned, so that its refusals come at once.
    """

    @property
    def pictures_wanted(self) -> int: ...

    def neutrals(self, head: HeadModel, pictures: Iterable[FacePicture]) -> NDArray[np.floating[Any]]:
        """Predictions (n,V,3), n ≥ 1, metres in head space, of the vertices of ``head``; averaged by who asks."""
        ...


@dataclass(frozen=True)
class TrackNeutral:
    """The neutral of the person of an earlier take."""

    path: Path
    pictures_wanted: int = 0

    def neutrals(self, head: HeadModel, pictures: Iterable[FacePicture] = ()) -> F32:  # noqa: ARG002 - it is known
        """(1,V,3). Raises UserError ``other_head`` where the take was tracked with another head, ``bad_track``."""
        track = load_track(self.path)
        if track.head_hash != head.hash or len(track.deformation) not in (0, head.vertex_count):
            raise UserError(
                ErrorCode.OTHER_HEAD,
                f"The take {self.path} was tracked with the head “{track.head_id[:40]}” in another version or shape, "
                f"not with “{head.id}” as it is now.",
                "Track the earlier take again with this head, or choose its head for this one.",
            )
        neutral = neutral_of(head, track)
        away = np.linalg.norm(neutral.astype(np.float64) - head.template, axis=1)
        if not np.average(away, weights=head.vertex_weight) < FARTHEST_PERSON:
            raise UserError(
                ErrorCode.BAD_TRACK,
                f"The person of {self.path} has a face of no person: {np.average(away):.3g} m from the mean one.",
                "Track the earlier take again.",
            )
        return neutral[None]


@dataclass(frozen=True)
class MeshNeutral:
    """The neutral in a mesh file that has the head's vertices: an OBJ, or an npz with ``vertices (V,3)``.

    Where it lies, how it is turned and whether it is in metres, centimetres or millimetres does not matter: it is laid
    onto the mean head.
    """

    path: Path
    pictures_wanted: int = 0

    def neutrals(self, head: HeadModel, pictures: Iterable[FacePicture] = ()) -> F32:  # noqa: ARG002 - it is known
        """(1,V,3). Raises UserError ``other_topology``, ``bad_mesh``, ``file_missing``."""
        vertices = _npz_vertices(self.path) if self.path.suffix.lower() == ".npz" else read_obj_vertices(self.path)
        if vertices.shape != (head.vertex_count, 3):
            raise UserError(
                ErrorCode.OTHER_TOPOLOGY,
                f"The mesh {self.path} has {len(vertices)} vertices; the head “{head.id}” has {head.vertex_count}.",
                "Give the neutral as a mesh of this very head, its vertices in the same order.",
            )
        if not np.isfinite(vertices).all() or np.abs(vertices).max() > FURTHEST:
            raise UserError(
                ErrorCode.BAD_MESH, f"The mesh {self.path} has a vertex that is at no place near the others."
            )
        return laid_onto_mean(head, vertices, self.path)[None]


@dataclass(frozen=True, eq=False)
class PictureNeutral:
    """The neutral in a picture of the person with a face at rest, as ``aligner`` sees it and a fit explains it."""

    path: Path
    aligner: Aligner
    pictures_wanted: int = 0

    def neutrals(self, head: HeadModel, pictures: Iterable[FacePicture] = ()) -> F32:  # noqa: ARG002 - it has its own
        """(1,V,3). Raises UserError ``no_face`` and what opening a picture raises."""
        from backend.alignment.align_footage import align_footage
        from backend.alignment.finder import face_finder
        from backend.fitting import FitOptions, View, fit_take
        from backend.fitting.posed import neutral_vertices

        seen = align_footage(open_footage(self.path, alone=True), self.aligner, finder=face_finder())
        return neutral_vertices(head, fit_take(head, [View(seen)], FitOptions(neutral=True)))[None]


@dataclass(frozen=True)
class MicaNeutral:
    """The neutral that MICA predicts from pictures of the take (Zielonka et al. 2022), in FLAME's vertices.

    MICA's own mean head is laid onto the head's, turned and moved but not scaled; the predictions go with it. Where the
    head is the FLAME that MICA was trained with (2020), that moves nothing.
    """

    pictures_wanted: int = MICA_PICTURES

    def require(self, head: HeadModel) -> None:
        """Raises UserError ``other_topology`` where ``head`` is no FLAME, ``weights_missing`` without MICA's."""
        from backend.head_model.mica.model import VERTICES, require_mica

        if head.vertex_count != VERTICES:
            raise _not_flame(head)
        require_mica()

    def neutrals(self, head: HeadModel, pictures: Iterable[FacePicture]) -> F32:
        """(n,V,3), one for each picture that shows enough of the face.

        Raises UserError ``other_topology``, ``weights_missing``, ``bad_weights``, ``no_face`` where no picture does.
        """
        from backend.fitting.prepare import choose_device
        from backend.head_model.mica.model import load_mica

        self.require(head)
        return mica_neutrals(load_mica().to(choose_device("auto")), head, pictures)


def predictor_for(path: str, aligner: Aligner | None = None) -> NeutralPredictor:
    """The reader of ``path``: a track.npz, a mesh, or, for an ``aligner`` that looks at it, a picture; or the predictor
    of that name (``protocol.job.NEUTRAL_PREDICTORS``).

    Raises UserError ``file_missing``, ``bad_mesh``.
    """
    if path == MICA:
        return MicaNeutral()
    file = Path(path)
    require_file(file, "neutral face")
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return TrackNeutral(file) if "header" in read_npz(file, "neutral", MAX_BYTES) else MeshNeutral(file)
    if suffix == ".obj":
        return MeshNeutral(file)
    if suffix in IMAGE_SUFFIXES and aligner is not None:
        return PictureNeutral(file, aligner)
    raise UserError(
        ErrorCode.BAD_MESH,
        f"The neutral face cannot be read from {file}: it is neither a picture nor a .npz nor a .obj.",
        "Give a picture of the calm face, an earlier take's track.npz, or a mesh of the head as .obj.",
    )


def mica_neutrals(mica: Mica, head: HeadModel, pictures: Iterable[FacePicture]) -> F32:
    """As ``MicaNeutral.neutrals``, by a MICA that is loaded."""
    from backend.pipeline.arcface_crops import arcface_crop, five_points

    onto = _onto_head(head, mica.template)
    found = []
    for picture in pictures:  # one by one: a job that is cancelled waits for one at most
        five = five_points(head, picture.point_sets)
        if five is not None:
            found.append(onto.apply(mica.neutrals(arcface_crop(picture.image, five)[None])[0]))
    if not found:
        raise UserError(
            ErrorCode.NO_FACE,
            "MICA was shown no face: in none of the frames are eyes, nose and mouth all seen.",
            "Track without --neutral mica, or choose frames in which the face is turned to the camera.",
        )
    neutrals = np.stack(found)
    away = np.linalg.norm(neutrals.mean(axis=0) - head.template, axis=1)
    if not np.average(away, weights=head.vertex_weight) < FARTHEST_PERSON:
        raise UserError(
            ErrorCode.BAD_WEIGHTS,
            "MICA predicts a face of no person: its weights are not those that were published.",
            "Add them again: flowface head add-mica mica.tar.",
        )
    return neutrals.astype(np.float32)


def predicted_neutral(predictor: NeutralPredictor, head: HeadModel, pictures: Iterable[FacePicture] = ()) -> F32:
    """The mean (V,3) of all predictions, metres in head space."""
    return np.asarray(predictor.neutrals(head, pictures), np.float64).mean(axis=0).astype(np.float32)


def laid_onto_mean(head: HeadModel, vertices: NDArray[np.floating[Any]], path: Path) -> F32:
    """A mesh with the head's vertices, turned, moved and brought to metres so that it lies on the head's mean.

    Weighted by the head's vertex weights (face and ears); rotation and translation after Kabsch (1976). The size is
    the mesh's own, in the unit of ``UNITS`` that brings it nearest to the mean head's.

    Raises:
        UserError: ``other_topology`` where that leaves the two far apart: the vertices are in another order.
    """
    weight = head.vertex_weight.astype(np.float64)
    weight /= weight.sum()
    target = head.template.astype(np.float64)
    source = np.asarray(vertices, np.float64)
    middle, target_middle = weight @ source, weight @ target
    source, target = source - middle, target - target_middle
    size = np.sqrt(weight @ np.square(source).sum(1))
    ratio = np.sqrt(weight @ np.square(target).sum(1)) / max(float(size), 1e-12)
    unit = min(UNITS, key=lambda scale: abs(np.log(ratio / scale)))
    if not 1 / LARGEST_SCALE < ratio / unit < LARGEST_SCALE:
        raise UserError(ErrorCode.OTHER_TOPOLOGY, f"The mesh {path} is no head in metres, centimetres or millimetres.")
    source = source * unit
    laid = similarity_between(source, target, weight, scaled=False).apply(source)
    distance = float(np.sqrt(weight @ np.square(laid - target).sum(1)))
    if distance > LARGEST_DISTANCE:
        raise UserError(
            ErrorCode.OTHER_TOPOLOGY,
            f"The mesh {path} has as many vertices as the head “{head.id}”, but not in the same order: laid onto it, "
            f"they are {1000 * distance:.0f} mm away.",
            "Export it with its vertex order kept.",
        )
    return (laid + target_middle).astype(np.float32)


def _onto_head(head: HeadModel, template: NDArray[np.floating[Any]]) -> Similarity:
    """The rigid motion of a FLAME's mean (V,3) onto the head's; raises UserError ``other_topology`` where the two are
    not the same vertices in the same order."""
    weight = head.vertex_weight.astype(np.float64)
    onto = similarity_between(template, head.template, weight, scaled=False)
    apart = np.square(onto.apply(template) - head.template).sum(axis=1)
    if np.sqrt(np.average(apart, weights=weight)) > LARGEST_DISTANCE:
        raise _not_flame(head)
    return onto


def _not_flame(head: HeadModel) -> UserError:
    return UserError(
        ErrorCode.OTHER_TOPOLOGY,
        f"MICA predicts the vertices of FLAME; the head “{head.id}” is another one.",
        "Track with FLAME (flowface head add flame FILE, then --head flame), or without --neutral mica.",
    )


def _npz_vertices(path: Path) -> F64:
    vertices = read_npz(path, "mesh", MAX_BYTES).get("vertices")
    if vertices is None or vertices.ndim != 2 or vertices.shape[1] != 3:
        raise UserError(ErrorCode.BAD_MESH, f"{path} holds no array “vertices” of shape (V, 3).")
    return vertices.astype(np.float64)
