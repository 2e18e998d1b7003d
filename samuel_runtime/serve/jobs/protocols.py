"""What a server asks of the place that keeps jobs and of the things that do them.

A folder and processes of this machine (`store`, `worker`), or an object store, replicas and tasks of a Ray cluster
(`objects`, `cluster`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from samuel_runtime.serve.jobs.job import Failure, Job, Result
from samuel_runtime.serve.jobs.request import Request, Wanted

Location = Path | str
"""A path that the renderers see, too, or the URL of what is in an object store, see samuel_runtime/locations.py."""

Tell = Callable[[dict[str, Any]], None]
"""Takes a renderer's events, see :mod:`samuel_runtime.serve.worker.events`."""


class JobStore(Protocol):
    """Keeps jobs. Every method blocks until what it does would survive the machine's power cut.

    All may raise OSError, as where the disk is full.
    """

    def recover(self) -> list[Job]:
        """All jobs that were accepted and not removed, in the order in which they are to be done."""

    def close(self) -> None:
        """Leave it to another server."""

    def begin_upload(self, job_id: str) -> Path:
        """Where a recording may be written that belongs to no job yet: on this machine."""

    def discard_upload(self, job_id: str) -> None:
        """Forget it; that there is none is no fault."""

    def accept(self, request: Request) -> None:
        """Make an upload a job: once this returns it is never lost."""

    def upload(self, job_id: str) -> Location:
        """The recording of an accepted job."""

    def count(self, job: Job) -> None:
        """Keep the job's starts and crashes."""

    def new_scratch(self) -> Location:
        """An empty folder for one attempt."""

    def discard_scratch(self, scratch: Location) -> None:
        """Remove what an attempt left, if it was not published."""

    def publish(self, job_id: str, scratch: Location, result: Result) -> None:
        """Make what an attempt wrote the job's result, all of it in one moment.

        Raises:
            FileNotFoundError: the job was removed.
        """

    def fail(self, job_id: str, failure: Failure) -> None:
        """Keep why nothing came of it.

        Raises:
            FileNotFoundError: the job was removed.
        """

    def result_file(self, job_id: str, name: str) -> Path:
        """A file of a job that is done, by a name of :mod:`samuel_runtime.serve.downloads`: on this machine, if need
        be fetched first; there may be none."""

    def encoded_file(self, job_id: str, name: str) -> Path:
        """Where a result in another format lies, or may be put; its folder is there."""

    def remove(self, job_id: str) -> None:
        """Remove the job and all its files, whatever its state; that there is none is no fault."""

    def size_bytes(self, job_id: str) -> int:
        """What it takes on disk."""


@dataclass(frozen=True)
class Order:
    """What a renderer is given: all that it needs."""

    voice: Location
    """The recording; of whatever format."""
    wanted: Wanted
    into: Location
    """An empty folder for voice-, accompaniment- and mix-files, named as :mod:`samuel_runtime.serve.worker.rendering`
    says."""


class JobCancelledError(Exception):
    """The renderer gave the job up, as it was told to."""


class WorkerDiedError(Exception):
    """The process, or machine, that did the job is gone; the job may or may not be the reason."""


class DefectError(Exception):
    """The job hit a fault of samuel's; the traceback is in the server's log."""


class Renderer(Protocol):
    """Does one job at a time, somewhere where it may die alone."""

    @property
    def unready_reason(self) -> str | None:
        """Why no job can be done yet, in words; None if it can."""

    async def start(self) -> None:
        """Return once jobs can be done, however long that takes."""

    async def render(self, order: Order, tell: Tell) -> dict[str, str]:
        """Do a job: returns provider and precision once all files are written.

        Raises:
            UserError: recording or settings are at fault.
            JobCancelledError: by :meth:`cancel`.
            WorkerDiedError: another attempt may succeed.
            DefectError: another attempt would end the same way.
        """

    def cancel(self) -> None:
        """Have the running :meth:`render` end soon."""

    async def close(self) -> None:
        """End it, and whatever it does."""


class Inspector(Protocol):
    """Reads recordings before they are accepted, somewhere where it may die alone."""

    async def duration_s(self, voice: Path) -> float:
        """How long a recording of this machine is, once it was read to its end.

        Raises:
            UserError: it is not in order, too long, or more than the reader survives.
        """

    async def close(self) -> None:
        """End it."""
