"""The contract of a tracker that is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.types import MeshSequence, SeveralViews


class Tracker(Protocol):
    """Anything that makes meshes of a clip.

    ``metrical`` says whether its meshes claim true metres, ``single_image`` whether it works on single images at all.
    """

    @property
    def name(self) -> str: ...

    @property
    def metrical(self) -> bool: ...

    @property
    def single_image(self) -> bool: ...

    @property
    def without(self) -> tuple[str, ...]:
        """Regions that its mesh does not have, which get no figures."""
        ...

    @property
    def made_by(self) -> tuple[str, ...]:
        """Parts of the backend that its figures depend on, and other words that change with them.

        The parts are those of ``backend.evaluation.store``.
        """
        ...

    def track(self, clip: Path, *, single_image: bool) -> MeshSequence:
        """The head in every frame of a clip or still.

        ``single_image`` forbids information to pass between frames (the first half of seeds/001 table 2). Frames
        without a face have ``tracked`` False. Raises UserError where nothing can be tracked at all (``no_face``).
        """
        ...

    def pupils(self, mesh: MeshSequence) -> NDArray[np.float64] | None:
        """(T,2,2) pixels of the subject's right and left pupil on a mesh this tracker made; None where unknown."""
        ...

    def outline(self, mesh: MeshSequence) -> NDArray[np.bool_] | None:
        """(V,) the vertices of its mesh whose silhouette is the face's outline; None where any may be."""
        ...


@runtime_checkable
class ViewsTracker(Tracker, Protocol):
    """A tracker that can also look at one synchronised frame of several cameras of which nothing is known."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The ways it can do that, by name, plainest first."""
        ...

    def track_views(self, stills: Sequence[Path], variant: str) -> SeveralViews:
        """One head and the cameras of C stills that are synchronised. Raises UserError as ``track`` does."""
        ...
