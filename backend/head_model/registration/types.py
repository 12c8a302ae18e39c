"""The input of a head's registration and the measure of its quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import BoolArray, FloatArray, IntArray, SurfacePoints

PARENTS = np.array([-1, 0, 1, 1, 1], np.int32)
"""Parent joints of root, neck, jaw, left eye and right eye."""

Progress = Callable[[float, str], None]
"""Gets the share done, 0 to 1, and what is being done."""

FaceMesh = Callable[[NDArray[np.uint8]], NDArray[np.float64] | None]
"""Points (≥468,3) of MediaPipe's face mesh on an RGB image (H,W,3), in units of its sides; None without a face."""
OpenFaceMesh = Callable[[], AbstractContextManager[FaceMesh]]
"""Makes a face mesh. Handed in from above, as what looks at pictures lies above the heads."""


@dataclass(frozen=True, eq=False)
class SourceHead:
    """A head in its own topology, as a converter read it, before registration.

    Head space as in ``HeadModel``: metres, +x the subject's left, +y up, +z out of the face. V vertices, F triangles.
    What is ``None`` or empty is found by registration.
    """

    id: str  # becomes HeadModel.id
    template: FloatArray  # (V,3) m, the mean neutral face
    triangles: IntArray  # (F,3) counter-clockwise seen from outside
    shape_basis: FloatArray  # (K_id,V,3) m per standard deviation; K_id may be 0
    expression_basis: FloatArray  # (K_ex,V,3) m per unit of expression coefficient
    expression_names: tuple[str, ...]  # (K_ex)
    expression_bounds: FloatArray  # (K_ex,2); ±inf where a coefficient is free
    licence: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    joint_regressor: FloatArray | None = None  # (5,V), joints in the order of JOINT_NAMES
    skinning_weights: FloatArray | None = None  # (V,5); vertices that follow an eye joint alone are that eyeball
    parents: IntArray = field(default_factory=lambda: PARENTS.copy())
    regions: Mapping[str, BoolArray] = field(default_factory=dict)  # name -> (V,), the names of HeadModel.regions
    landmarks: Mapping[str, SurfacePoints] = field(default_factory=dict)  # complete "mediapipe478" and/or "ibug68"
    actions: Mapping[str, FloatArray] = field(default_factory=dict)  # ARKit name -> (V,3) m, where its author made it
    quads: IntArray = field(default_factory=lambda: np.zeros((0, 2), np.int32))  # (Q,2) as in HeadModel


@dataclass(frozen=True)
class RegistrationReport:
    """The quality of a head's correspondence with the open head's surface.

    Distances are in millimetres from the open head, deformed onto the target, to the target's skin within the face
    region. Landmark errors are between MediaPipe's points as found on the target's renders and as mapped from the open
    head. Flipped triangles of the surface turn over in the deformed open head, those of the atlas in the target's
    canonical atlas; both are shares of the triangles of the face.
    """

    surface_mean_mm: float
    surface_p95_mm: float
    landmark_mean_mm: float
    landmark_p95_mm: float
    flipped_surface: float
    flipped_atlas: float
    corresponding: float  # share of the target's face and ears within reach of the open head's surface
    lid_gap_mm: float  # what remains open of the lids at eyeBlink 1 + 1; nan where no lids were found
    seconds: float

    def provenance(self) -> dict[str, str]:
        """The figures as strings, for ``HeadModel.provenance``; keys start with ``registration_``."""
        return {f"registration_{name}": f"{value:.4g}" for name, value in self.__dict__.items()}
