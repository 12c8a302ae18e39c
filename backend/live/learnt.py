"""A person's learnt driver in a live session: one look of a small network a picture, instead of landmarks and solve."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation

from backend.appearance.driver import Driver, DriverModel
from backend.appearance.storage import load_driver
from backend.head_model.personal import no_corrections
from backend.live.driver import LOST, Posed, PoseFilters
from backend.live.person import Person
from backend.live.takes import stacked, track_of
from backend.live.types import LivePicture
from backend.track.types import Track


class LearntFace:
    """Looks at one picture after the other, and filters as ``FaceDriver`` does. For one thread."""

    def __init__(self, model: DriverModel, *, filtered: bool = True) -> None:
        """Raises UserError where the person's head is not here any more or has changed."""
        self.model = model
        self._driver = Driver(model)
        self._filters = PoseFilters() if filtered else None
        self._time = -np.inf

    @classmethod
    def load(cls, path: Path, *, filtered: bool = True) -> Self:
        """The driver of a file. Raises UserError as ``load_driver`` does, and where its head is not here."""
        return cls(load_driver(path), filtered=filtered)

    @property
    def name(self) -> str:
        """The take that it was learnt from."""
        return self.model.name

    def look(self, picture: LivePicture) -> Posed | None:
        """The pose of a picture, later than the last one; None where it shows no face."""
        told = self._driver.look(picture.picture)
        if told is None:
            return None
        posed = Posed(
            told.expression.astype(np.float64),
            told.gaze.astype(np.float64),
            Rotation.from_matrix(told.rotation).as_rotvec(),
            told.translation,
        )
        if self._filters is None:
            return posed
        if picture.time - self._time > LOST:
            self._filters.forget()
        self._time = picture.time
        return self._filters(posed, picture.time)

    def person(self, image_size: tuple[int, int]) -> Person:
        """Whom it is of, before a camera whose pictures are of this size (width, height), of the lens that the driver
        takes it to have."""
        width, height = image_size
        lens = self._driver.lens_for(np.empty((height, width, 0), np.uint8))
        own = self.model.person
        return Person(
            head=own.model,
            identity=own.identity,
            focal_px=lens.focal_px,
            principal_point=(float(lens.principal_point[0]), float(lens.principal_point[1])),
            image_size=image_size,
            deformation=own.deformation,
            action_corrections=own.action_corrections.astype(np.float32)
            if own.action_corrections.size
            else no_corrections(),
        )

    def take(self, person: Person, posed: Posed, source: str) -> Track:
        """The person's take of one pose, for whoever builds the head."""
        row = (0.0, True, posed.expression, posed.rotation, posed.translation, posed.gaze)
        return track_of(person, stacked([row]), source)

    def close(self) -> None:
        """Stop the network's threads."""
        self._driver.close()
