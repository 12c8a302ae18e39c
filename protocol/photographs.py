"""The job that makes a head of a person's photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .bounds import bad_field
from .job import JOBS, TrackJob

MOST_PHOTOGRAPHS = 10
"""Of one job: each pair of them is compared."""


@dataclass(frozen=True)
class PhotographsJob(TrackJob):
    """One to ``MOST_PHOTOGRAPHS`` stills of one person as a head: its neutral, its skin and its shapes.

    Each of ``views`` is a still of a moment of its own, by a camera of its own: its expression and its lens are its
    alone. The take's first frame is the neutral head, the stills follow in their order, a frame and a camera each; the
    head stands still in them, and the cameras stand where the photographs were taken from.
    """

    KIND: ClassVar[str] = "photographs"

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for too many stills, and for what only footage has."""
        super().__post_init__()
        count = len(self.views)
        if count > MOST_PHOTOGRAPHS:
            raise bad_field(
                f"A head is made of 1 to {MOST_PHOTOGRAPHS} photographs, not of {count}: choose those that show the "
                "face large, sharp and from several sides."
            )
        of_footage = {
            "frames": self.frames is not None,
            "neutral_frames": self.neutral_frames is not None,
            "faces": self.several_faces,
            "neutral_from": bool(self.neutral_from),
            "views.files": any(view.files for view in self.views),
            "views.offset": any(view.offset for view in self.views),
        }
        for name, given in of_footage.items():
            if given:
                raise bad_field(f"“job.{name}” means nothing of photographs.")


JOBS[PhotographsJob.KIND] = PhotographsJob
