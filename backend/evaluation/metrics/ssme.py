"""Screen-space motion error (seeds/001, eqs. 15–17): does a tracker's dense motion in the image follow the truth's?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from backend.evaluation.types import MOTION_REGIONS, MeshSequence
from backend.head_model.rasterise import Raster, rasterise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_CHUNK_PIXELS = 16384


@dataclass(frozen=True, eq=False)
class SsmeResult:
    """Screen-space motion error in pixels; NaN where a region is never seen or no pair of frames is that far apart.

    ``per_horizon[region] (H,)`` is SSME_h for h = 1…H, ``mean[region]`` its mean over h. ``vertex_error (V,)`` is the
    mean end-point error around each vertex of the truth over all frames and horizons, NaN where none was seen.
    """

    per_horizon: Mapping[str, F64]
    mean: Mapping[str, float]
    vertex_error: F64


def ssme(truth: MeshSequence, predicted: MeshSequence, *, horizons: int = 30, stride: int = 2) -> SsmeResult:
    """Screen-space motion error of ``predicted`` against ``truth``, per region of the truth that is seen.

    For frame t and horizon h, with the flow f of a pixel = where its surface point is at t+h minus where it was at t:

        EPE_{t:t+h} = mean over pixels p of V of ‖f'_{t:t+h}(p) − f_{t:t+h}(p)‖₂           (eq. 15)
        SSME_h      = 1/(F−h) · Σ_{t, t+h ≤ F} EPE_{t:t+h}                                   (eq. 16)
        mean SSME   = 1/H · Σ_{h=1…H} SSME_h                                                 (eq. 17)

    Eq. 17 is printed as the sum over h, but the text around it says average and the tables have an average's size, so
    the mean is what is reported. Eq. 15 is printed as a squared norm of the whole field, but its text says "averaging
    the L2-distance", so that is what is done.

    V is the truth's region as seen in frame t: pixels whose front-most surface point lies in it (interpolated vertex
    membership ≥ ½). Each pixel's surface point is found at t on each mesh of its own, so the topologies need not
    agree. A pixel of V that the predicted mesh does not cover takes the flow of the nearest pixel that it covers; a
    frame in which it covers none has no flow. Frames the tracker lost hold the last tracked mesh (before it,
    the first), which is what its user would see; a tracker that never tracked has no flow. Frames in which a region is
    not seen do not count for it. Every ``stride``-th pixel of every ``stride``-th row is looked at.

    Raises ValueError where the sequences differ in length or image size, or have fewer than two frames.
    """
    _check(truth, predicted)
    names = [name for name in MOTION_REGIONS if name in truth.regions]
    membership = np.stack([truth.regions[name] for name in names], axis=1).astype(np.float64)
    held = hold_lost(predicted)
    true_motion = _Motion(replace(truth, vertices=np.nan_to_num(truth.vertices)))
    motion = None if held is None else _Motion(held)
    totals = _Totals(len(names), horizons, truth.vertices.shape[1])
    for t in np.flatnonzero(truth.tracked[:-1]):
        usable = truth.tracked[t + 1 : t + 1 + horizons]
        if not usable.any():
            continue
        raster = true_motion.raster(t, stride)
        other = None if motion is None else motion.raster(t, stride)
        pixels, inside = _masked_pixels(raster, true_motion.triangles, membership)
        source = _nearest_covered(other, pixels)
        sums = np.zeros((len(names), len(usable)))
        for start in range(0, len(pixels), _CHUNK_PIXELS):
            part = slice(start, start + _CHUNK_PIXELS)
            points = true_motion.points(raster, pixels[part])
            flow = true_motion.flow(points, raster, pixels[part], t, len(usable))
            if motion is not None and other is not None and source is not None:
                flow -= motion.flow(motion.points(other, source[part]), other, source[part], t, len(usable))
            error = np.sqrt(flow[..., 0] ** 2 + flow[..., 1] ** 2)
            sums += inside[part].T @ error
            totals.add_vertices(points, error[:, usable])
        totals.add_frame(sums, inside.sum(axis=0), usable)
    return totals.result(names)


def hold_lost(sequence: MeshSequence) -> MeshSequence | None:
    """The sequence with every lost frame holding the last tracked one (the first, before it); None if all are lost."""
    good = sequence.tracked & np.isfinite(sequence.vertices).all(axis=(1, 2)) & np.isfinite(sequence.focal_px)
    if good.all():
        return sequence
    if not good.any():
        return None
    indices = np.arange(sequence.frame_count)
    last = np.maximum.accumulate(np.where(good, indices, -1))
    source = np.where(last < 0, np.flatnonzero(good)[0], last)
    return replace(sequence, vertices=sequence.vertices[source], focal_px=sequence.focal_px[source])


class _Totals:
    """Sums of end-point errors over frames, per region and horizon, and around each vertex of the truth."""

    def __init__(self, regions: int, horizons: int, vertices: int) -> None:
        self._errors, self._frames = np.zeros((regions, horizons)), np.zeros((regions, horizons))
        self._vertex_errors, self._vertex_weights = np.zeros(vertices), np.zeros(vertices)

    def add_vertices(self, points: sparse.csr_matrix, error: F32) -> None:
        """``error (P,h)`` of surface points given as (P,V) weights."""
        self._vertex_errors += points.T @ error.sum(axis=1)
        self._vertex_weights += points.T @ np.full(len(error), float(error.shape[1]))

    def add_frame(self, sums: F64, pixels: NDArray[np.intp], usable: NDArray[np.bool_]) -> None:
        """One frame's errors summed over each region's ``pixels (R,)``: ``sums (R,h)``."""
        shown = (pixels > 0)[:, None] & usable
        self._errors[:, : len(usable)] += np.where(shown, sums / np.maximum(pixels, 1)[:, None], 0.0)
        self._frames[:, : len(usable)] += shown

    def result(self, names: list[str]) -> SsmeResult:
        with np.errstate(invalid="ignore"):
            curves = self._errors / self._frames
            vertex_error = self._vertex_errors / self._vertex_weights
        finite = np.isfinite(curves)
        means = [float(c[f].mean()) if f.any() else float("nan") for c, f in zip(curves, finite, strict=True)]
        return SsmeResult(dict(zip(names, curves, strict=True)), dict(zip(names, means, strict=True)), vertex_error)


class _Motion:
    """A mesh sequence prepared for following surface points through the image."""

    def __init__(self, sequence: MeshSequence) -> None:
        self._sequence = sequence
        self.triangles = sequence.triangles
        v = sequence.vertices.astype(np.float64)
        homogeneous = np.empty(v.shape, np.float32)
        homogeneous[..., :2] = v[..., :2] * sequence.focal_px[:, None, None] + v[..., 2:] * sequence.principal_point
        homogeneous[..., 2] = v[..., 2]
        self._homogeneous = np.ascontiguousarray(homogeneous.transpose(1, 2, 0))  # (V,3,T): frames contiguous

    def raster(self, frame: int, stride: int) -> Raster:
        s = self._sequence
        return rasterise(
            s.vertices[frame],
            s.triangles,
            focal_px=float(s.focal_px[frame]),
            principal_point=s.principal_point,
            image_size=s.image_size,
            stride=stride,
        )

    def points(self, raster: Raster, pixels: NDArray[np.intp]) -> sparse.csr_matrix:
        """(P,V) barycentric weights of the surface points that ``pixels (P,)`` of the raster show."""
        corners = self.triangles[raster.triangle.reshape(-1)[pixels]]
        weights = raster.barycentric.reshape(-1, 3)[pixels].astype(np.float32)
        starts = np.arange(0, 3 * len(pixels) + 1, 3)
        return sparse.csr_matrix(
            (weights.reshape(-1), corners.reshape(-1), starts), (len(pixels), len(self._homogeneous))
        )

    def flow(self, points: sparse.csr_matrix, raster: Raster, pixels: NDArray[np.intp], t: int, reach: int) -> F32:
        """(P,reach,2) how far each surface point has moved in the image from frame t to t+1 … t+reach, pixels."""
        window = np.ascontiguousarray(self._homogeneous[:, :, t + 1 : t + 1 + reach]).reshape(-1, 3 * reach)
        moved = (points @ window).reshape(-1, 3, reach)
        start = raster.positions().reshape(-1, 2)[pixels].astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (moved[:, :2] / moved[:, 2:] - start[:, :, None]).transpose(0, 2, 1)


def _masked_pixels(
    raster: Raster, triangles: NDArray[np.int32], membership: F64
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Flat indices (P,) of the samples that show any region, and which of the regions (P,R) each shows."""
    covered = np.flatnonzero(raster.covered)
    corners = membership[triangles[raster.triangle.reshape(-1)[covered]]]
    share = np.einsum("pc,pcr->pr", raster.barycentric.reshape(-1, 3)[covered], corners)
    inside = share >= 0.5
    any_region = inside.any(axis=1)
    return covered[any_region], inside[any_region]


def _nearest_covered(raster: Raster | None, pixels: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """For each of ``pixels (P,)`` the nearest sample that the mesh covers, itself where it does; None without any."""
    if raster is None or not raster.covered.any():
        return None
    covered = raster.covered
    if covered.reshape(-1)[pixels].all():
        return pixels
    rows, columns = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return (rows.astype(np.intp) * covered.shape[1] + columns).reshape(-1)[pixels]


def _check(truth: MeshSequence, predicted: MeshSequence) -> None:
    if truth.frame_count != predicted.frame_count:
        raise ValueError(f"the truth has {truth.frame_count} frames and the prediction {predicted.frame_count}")
    if truth.image_size != predicted.image_size:
        raise ValueError(f"the truth's image is {truth.image_size} and the prediction's {predicted.image_size}")
    if truth.frame_count < 2:
        raise ValueError("motion needs at least two frames")
    if not any(name in truth.regions for name in MOTION_REGIONS):
        raise ValueError(f"the truth names none of the regions {', '.join(MOTION_REGIONS)}")
