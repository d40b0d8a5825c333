"""When a job may begin: as soon as the cells that it needs are done, in the order of the plan otherwise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from foldline.run.cells import Job


class Schedule:
    """Jobs of one run, each given out once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Plan jobs with different keys. What a cell needs that is none of them has been done before."""
        self._waiting = list(jobs)
        self._undone = {job.key for job in jobs}
        self._since: dict[str, float] = {}  # when jobs could begin, s since 1970
        self._note_ready()

    @property
    def waiting(self) -> list[Job]:
        """The jobs that have not been given out, in the order of the plan."""
        return list(self._waiting)

    @property
    def all_given(self) -> bool:
        """Whether no job is left to give out."""
        return not self._waiting

    def ready(self) -> Job | None:
        """Give out the first job that may begin; None where all that are left need one that is not done yet.

        It says since when it could begin.
        """
        for place, job in enumerate(self._waiting):
            if job.key in self._since:
                return replace(self._waiting.pop(place), since=self._since[job.key])
        return None

    def done(self, job: Job) -> None:
        """Note that a job is done, so that those that need it may begin."""
        self._undone.remove(job.key)
        self._note_ready()

    def _note_ready(self) -> None:
        for job in self._waiting:
            if job.key not in self._since and self._undone.isdisjoint(cell.key for cell in job.cell.before):
                self._since[job.key] = time.time()
