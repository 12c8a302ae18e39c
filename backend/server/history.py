"""What a job has been through, kept on disk: no job may end workers, or whole machines, for ever.

Two things end under a job. A *worker* that dies while its backend looks on is most likely the job's own doing (a
decoder that crashes, too little memory): the third time the job is set aside with the words of each end. A *backend*
that is killed, or a machine that stops, is not: the job goes on. Yet a job that brings the whole machine down, again
and again, must not do so for ever where the system starts the backend. So from the third such end on the job waits
behind all others and takes less memory, and after the sixth it is set aside as well. Both counts begin anew once the
job has got on by ``GAIN`` since they began: a long job on a machine that is often switched off gets done.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from backend.errors import ErrorCode
from protocol.messages import Problem

GAIN = 0.1
"""Of the whole job: what counts as having got on. It bounds the ends of one job at ten times ``MAX_DEATHS``."""
MAX_DEATHS = 3
MAX_SMALLER = 2
"""How often a job is run again with less memory: each halves what it takes at once, and a quarter is near the least."""
LOSSES_TO_STEP_BACK = 3
MAX_LOSSES = 6


@dataclass(frozen=True)
class Death:
    """The end of a worker: in words ("was ended by SIGSEGV"), whether it was killed, and whether for want of memory."""

    words: str
    killed: bool = False
    hungry: bool = False


@dataclass(frozen=True)
class History:
    """What ended under a job since it last got on, and what it was told to do differently.

    ``mark`` is the fraction that it had reached when they began to be counted.
    """

    smaller: int = 0  # steps of ``progress.Attempt``
    deaths: tuple[str, ...] = ()  # of workers, in words
    losses: int = 0  # of backends and machines
    kills: int = 0  # of those deaths
    mark: float = 0.0
    cancelling: bool = False  # somebody has cancelled it: it must not be taken up again

    def after_death(self, death: Death, stage: str, fraction: float) -> History:
        """The history after a worker's end at ``fraction`` of the job.

        After a kill that, as far as the system tells, was not for want of memory the job goes on as it is the first
        time: somebody may have ended it by hand. The second time want of memory is the likelier cause.
        """
        so_far = self._got_to(fraction)
        hungry = death.hungry or (death.killed and so_far.kills > 0)
        return dataclasses.replace(
            so_far,
            deaths=(*so_far.deaths, f"{death.words} during “{stage}”"),
            kills=so_far.kills + death.killed,
            smaller=min(so_far.smaller + hungry, MAX_SMALLER),
        )

    def after_loss(self, fraction: float) -> History:
        """The history after the end of the job's backend, or machine, at ``fraction`` of the job."""
        so_far = self._got_to(fraction)
        losses = so_far.losses + 1
        smaller = min(so_far.smaller + (losses == LOSSES_TO_STEP_BACK), MAX_SMALLER)
        return dataclasses.replace(so_far, losses=losses, smaller=smaller)

    def after_exhaustion(self) -> History | None:
        """The history after the job itself ran out of memory; None where it cannot take less."""
        return dataclasses.replace(self, smaller=self.smaller + 1) if self.smaller < MAX_SMALLER else None

    @property
    def steps_back(self) -> bool:
        """The job waits until all others are done."""
        return self.losses >= LOSSES_TO_STEP_BACK

    @property
    def verdict(self) -> Problem | None:
        """Why the job is not tried again; None where it is."""
        if len(self.deaths) >= MAX_DEATHS:
            ends = "; then it ".join(self.deaths)
            return Problem(
                ErrorCode.WORKER_DIED,
                f"The tracking process ended {len(self.deaths)} times under this job: it {ends}. "
                "It is not tried again.",
                "Track fewer frames at a time, as memory may have run out; if it happens again, report it with the "
                "backend's log.",
            )
        if self.losses >= MAX_LOSSES:
            return Problem(
                ErrorCode.WORKER_DIED,
                f"The backend or its machine stopped {self.losses} times while this job ran. It is not tried again.",
                "Track fewer frames at a time: the machine may have run out of memory.",
            )
        return None

    def _got_to(self, fraction: float) -> History:
        if fraction - self.mark > GAIN - 1e-6:  # as fractions are not exact
            return dataclasses.replace(self, deaths=(), kills=0, losses=0, mark=fraction)
        return self


BLANK = History()
