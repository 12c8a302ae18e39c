"""Our tracker as one of those compared, a clip in, a sequence of meshes out; what it reads, once for every protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.finder import face_finder
from backend.alignment.flowface.weights import weights_digest
from backend.alignment.registry import find_aligner, takes_weights
from backend.errors import ErrorCode, UserError
from backend.evaluation.store import EVERYTHING
from backend.evaluation.trackers.types import Tracker
from backend.evaluation.types import MeshSequence, SeveralViews
from backend.fitting import FitOptions, FitResult, View
from backend.fitting.posed import neutral_vertices, world_vertices
from backend.footage import IMAGE_SUFFIXES, Footage, FootageFrame, open_footage, prefetch
from backend.head_model.library import load_head
from backend.head_model.lid_clearance import with_clear_lids
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.personal import no_corrections, with_corrections
from backend.observations import ViewAlignment
from backend.observations.io import load_alignment, save_alignment
from backend.skin_matching.in_time import TimeMatching
from backend.skin_matching.refine_views import ViewPictures
from backend.solving import solve_take

RIGHT_PUPIL, LEFT_PUPIL = 468, 473  # in mediapipe478

VIEWS_OPTIONS = {
    "": FitOptions(),
    "δ_d nose": FitOptions(deform_region="nose"),
    "δ_d face": FitOptions(deform_region="face"),
}
SKIN_MATCHED = ", skin matched"
VARIANTS = (*VIEWS_OPTIONS, *(f"{name}{SKIN_MATCHED}" for name in VIEWS_OPTIONS if name))
"""The ways to fit several views.

With and without a deformation beyond the identity basis (seeds/001 eq. 8), by the aligner's points alone or by the skin
that the pictures show alike as well.
"""

SKIN_IN_TIME = {
    "skin": TimeMatching(),
    "skin-consecutive": TimeMatching(mean_texture=False),
    "skin-mean-texture": TimeMatching(consecutive=False),
}
"""The ways to match the skin of one view in time: both consistencies of seeds/003, or one alone."""

OnFrame = Callable[[int, int], None]


@dataclass(frozen=True)
class FlowFace:
    """Our tracker: what ``flowface track`` does, from footage to fitted head.

    ``cache`` keeps alignments, which both protocols and later runs share. ``on_frame(done, total)`` hears the single
    images, which are fitted one by one. ``weights`` are the network's, None its own.
    ``even_sigma`` forgets the aligner's σ but for its median over the clip: what it is worth to the fit shows beside.
    ``skin`` names a way to match the skin in time (``SKIN_IN_TIME``); "" fits the aligner's points alone.
    """

    cache: Path | None = None
    head_name: str = "open"
    aligner: str = "mediapipe"
    on_frame: OnFrame | None = None
    weights: Path | None = None
    even_sigma: bool = False
    skin: str = ""
    metrical = True
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The aligner's network and our fit are FlowFace; the fit on another aligner's points is called after both."""
        names = ["flowface", self.aligner if self.aligner != "flowface" else "", self.head_name]
        names += ["even-sigma" if self.even_sigma else "", self.skin]
        return "-".join(name for name in names if name not in ("", "open"))

    @property
    def single_image(self) -> bool:
        """See ``Tracker``: one picture has no skin in time."""
        return not self.skin

    @property
    def made_by(self) -> tuple[str, ...]:
        """See ``Tracker``: all of the backend, and the network's weights."""
        return (
            EVERYTHING if not takes_weights(self.aligner) else (*EVERYTHING, f"weights {weights_digest(self.weights)}")
        )

    def track(self, clip: Path, *, single_image: bool) -> MeshSequence:
        """See ``Tracker``."""
        head = load_head(self.head_name)
        observed = self.observe(clip)
        if not observed.tells_pose.any():
            raise UserError(ErrorCode.NO_FACE, f"No face was found in {clip}.")
        if not single_image or observed.frame_count == 1:
            return fitted_mesh(head, self.solve(head, observed, clip), observed)
        return self.each_alone(head, observed)

    def solve(self, head: HeadModel, observed: ViewAlignment, clip: Path) -> FitResult:
        """The fit of a clip that was ``observed``, its skin matched in time where ``skin`` says how."""
        if not self.skin:
            return solve_take(head, [View(observed)]).fit
        with ClipPictures(clip) as pictures:
            shown = ViewPictures(lambda _view, frame: pictures.at(frame), [None])
            return solve_take(head, [View(observed)], pictures=shown, time_matching=SKIN_IN_TIME[self.skin]).fit

    def observe(self, clip: Path) -> ViewAlignment:
        """``observe_clip`` by its aligner."""
        observed = observe_clip(clip, self.aligner, self.cache, self.head_name, self.weights)
        return with_even_sigma(observed) if self.even_sigma and observed.valid.any() else observed

    def each_alone(self, head: HeadModel, observed: ViewAlignment) -> MeshSequence:
        """Every frame of a clip that was ``observed``, fitted as a picture of its own."""
        frames = observed.frame_count
        vertices = np.full((frames, head.vertex_count, 3), np.nan, np.float32)
        focal = np.ones(frames)
        first: MeshSequence | None = None
        for t in np.flatnonzero(observed.tells_pose):
            fit = solve_take(head, [View(observed.at(np.array([t])))]).fit
            mesh = fitted_mesh(head, fit, observed)
            vertices[t], focal[t], first = mesh.vertices[0], mesh.focal_px[0], first or mesh
            if self.on_frame is not None:
                self.on_frame(int(t) + 1, frames)
        if first is None:
            raise ValueError("no frame shows a face")
        return MeshSequence(
            vertices=vertices,
            triangles=first.triangles,
            focal_px=focal,
            principal_point=first.principal_point,
            image_size=first.image_size,
            frame_rate=observed.frame_rate,
            tracked=observed.tells_pose,
            landmarks68=first.landmarks68,
        )

    def pupils(self, mesh: MeshSequence) -> NDArray[np.float64]:
        """(T,2,2) pixels; see ``Tracker``."""
        points = load_head(self.head_name).landmarks["mediapipe478"]
        chosen = np.array([RIGHT_PUPIL, LEFT_PUPIL])
        iris = SurfacePoints(points.triangle[chosen], points.barycentric[chosen])
        seen = surface_positions(iris, mesh.triangles, mesh.vertices.astype(np.float64))
        return seen[..., :2] / seen[..., 2:] * mesh.focal_px[:, None, None] + mesh.principal_point

    def outline(self, mesh: MeshSequence) -> NDArray[np.bool_]:  # noqa: ARG002 - all its meshes are of one head
        """(V,) the skin above the jaw, without ears; see ``Tracker``."""
        head = load_head(self.head_name)
        inside = [head.regions[name] for name in ("ears", "mouth_bag", "eye_sockets") if name in head.regions]
        return np.asarray(head.regions["skin"] & ~np.any(inside, axis=0) & above_jaw(head))

    @property
    def variants(self) -> tuple[str, ...]:
        """See ``ViewsTracker``; there are none where it is the skin in time that is looked at."""
        return () if self.skin else VARIANTS

    def track_views(self, stills: Sequence[Path], variant: str) -> SeveralViews:
        """See ``ViewsTracker``; the world is the camera space of the first still that shows the face."""
        head, seen = load_head(self.head_name), {}
        for index, still in enumerate(stills):
            try:
                observed = self.observe(still)
            except UserError as error:
                if error.code != ErrorCode.NO_FACE:
                    raise
                continue
            if observed.tells_pose.any():
                seen[index] = observed
        if not seen:
            raise UserError(ErrorCode.NO_FACE, f"No face was found in any of the {len(stills)} views.")
        views = [View(observed) for observed in seen.values()]
        options = VIEWS_OPTIONS[variant.removesuffix(SKIN_MATCHED)]
        pictures = None
        if variant.endswith(SKIN_MATCHED):
            shown = [next(iter(open_clip(stills[index]))).image for index in seen]
            pictures = ViewPictures(lambda view, _frame: shown[view], [None] * len(shown))
        fit = solve_take(head, views, options, pictures=pictures).fit
        world_to_camera, focal = np.full((len(stills), 3, 4), np.nan), np.full(len(stills), np.nan)
        for index, camera in zip(seen, fit.cameras, strict=True):
            world_to_camera[index], focal[index] = camera.world_to_camera, camera.focal_px
        return SeveralViews(fitted_mesh(head, fit, next(iter(seen.values()))), world_to_camera, focal)


class ClipPictures:
    """A clip's pictures by frame; a context manager, which closes the file. Going back reads the clip anew."""

    def __init__(self, clip: Path) -> None:
        self._clip, self._frame = clip, -1
        self._reading: Generator[FootageFrame, None, None] | None = None
        self._picture: NDArray[np.uint8] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def at(self, frame: int) -> NDArray[np.uint8] | None:
        """RGB (H,W,3); None behind the clip's end."""
        if self._reading is None or frame < self._frame:
            self._close()
            self._reading = prefetch(open_clip(self._clip))
        while self._frame < frame:
            found = next(self._reading, None)
            self._frame, self._picture = self._frame + 1, None if found is None else found.image
        return self._picture

    def _close(self) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading, self._frame, self._picture = None, -1, None


def above_jaw(head: HeadModel) -> NDArray[np.bool_]:
    """(V,) vertices that stand above the jaw line (iBUG-68's boundary) seen from the front, or at most 3 mm below it.

    The neck's outline passes close to the corners of the jaw; it is not the face's.
    """
    jaw = surface_positions(head.landmarks["ibug68"], head.triangles, head.template)[:17]
    across = np.argsort(jaw[:, 0])
    line = np.interp(head.template[:, 0], jaw[across, 0], jaw[across, 1])
    return np.asarray(head.template[:, 1] >= line - 0.003)


def track_or_none(tracker: Tracker, clip: Path, *, single_image: bool) -> MeshSequence | None:
    """The tracker's mesh, or None where it finds no face at all."""
    try:
        return tracker.track(clip, single_image=single_image)
    except UserError as error:
        if error.code == ErrorCode.NO_FACE:
            return None
        raise


def fitted_mesh(head: HeadModel, fit: FitResult, observed: ViewAlignment) -> MeshSequence:
    """A fitted take as meshes in the camera's space of its first view, in which ``observed`` was seen.

    As ``backend.track.geometry.person_of`` shows it: with the person's own actions, and lids clear of the eyes.
    """
    neutral = neutral_vertices(head, fit)
    person = with_clear_lids(with_corrections(head, fit.action_corrections), neutral)
    seen = world_vertices(person, replace(fit, action_corrections=no_corrections()))
    points = head.landmarks["ibug68"]
    return MeshSequence(
        vertices=seen,
        triangles=head.triangles,
        focal_px=np.full(len(seen), fit.cameras[0].focal_px),
        principal_point=np.array(fit.cameras[0].principal_point, np.float64),
        image_size=observed.image_size,
        frame_rate=observed.frame_rate,
        tracked=fit.tracked,
        neutral=neutral,
        landmarks68=(points.triangle, points.barycentric),
    )


def open_clip(clip: Path) -> Footage:
    """A clip, or one image alone even where its neighbours' names look like a sequence. Raises UserError."""
    return open_footage(clip, alone=clip.suffix.lower() in IMAGE_SUFFIXES)


def with_even_sigma(observed: ViewAlignment) -> ViewAlignment:
    """The same with the median of the valid points' σ for all points."""
    even = np.median(observed.sigma[observed.valid])
    sets = tuple(replace(s, sigma=np.full_like(s.sigma, even)) for s in observed.point_sets)
    return replace(observed, point_sets=sets)


def observe_clip(
    clip: Path, aligner_name: str, cache: Path | None, head_name: str = "open", weights: Path | None = None
) -> ViewAlignment:
    """The aligner's observations of a clip; read from ``cache`` where they are there.

    ``head_name`` and ``weights`` are for aligners that depend on them. Raises UserError as ``find_aligner`` and reading
    footage do, and ``no_face``.
    """
    made_by = aligner_name
    if takes_weights(aligner_name):
        made_by += f"-{head_name}-{weights_digest(weights)}"
    kept = cache / f"{clip_key(clip)}-{made_by}.npz" if cache is not None else None
    if kept is not None and kept.is_file():
        return load_alignment(kept)
    aligner = find_aligner(aligner_name, load_head(head_name), weights)
    observed = align_footage(open_clip(clip), aligner, FaceChoice.largest(), finder=face_finder())
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_alignment(observed, kept)
    return observed


def clip_key(clip: Path) -> str:
    """A name for what a file holds now: it changes when the file does."""
    state = clip.stat()
    told = f"{clip.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    return f"{clip.stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
