"""Jobs in a store that all machines of a cluster see: anything that fsspec opens, by a URL such as s3://bucket/jobs.

Object stores know neither rename nor sync, but take an object whole: it is there for every reader once a write has
returned, and is not there before. So each transition is one write, after all that it speaks of::

    jobs/ID/voice               the recording
    jobs/ID/request.json        there: it was accepted
    jobs/ID/attempts.json       how often it was begun, and how many workers died of it
    jobs/ID/result.json         there: it is done; names the folder below attempts/ that holds its files
    jobs/ID/failure.json        there: it failed, and why
    attempts/NAME/              one attempt's files: voice.wav, accompaniment-1.wav, mix-1.wav, ...

=========  ==========================================  =====================================
name       what is written before                      the write, or removal, that does it
=========  ==========================================  =====================================
accept     jobs/ID/voice                               jobs/ID/request.json, then "202 Accepted"
publish    attempts/NAME/..., by the renderer          jobs/ID/result.json
fail       -                                           jobs/ID/failure.json
remove     -                                           jobs/ID/request.json goes, then the rest
=========  ==========================================  =====================================

A server that is killed in between leaves files that nothing speaks of; the next one removes them. Where writes can be
seen in part, as with sftp, a torn JSON file counts as not written: what it would have said was not promised yet.

Uploads, and files that are sent to clients, are on the server's own disk meanwhile. There must be one server at a time,
which this store cannot see to; Ray Serve does, whose one replica of the server ends before its successor begins.
"""

from __future__ import annotations

import logging
import posixpath
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from samuel_runtime.files import replacing
from samuel_runtime.locations import filesystem, put_file
from samuel_runtime.serve.jobs.job import Failure, Job, Result
from samuel_runtime.serve.jobs.protocols import Location
from samuel_runtime.serve.jobs.request import Request

_JOBS, _ATTEMPTS_FOLDER = "jobs", "attempts"
_VOICE, _REQUEST, _ATTEMPTS, _RESULT, _FAILURE = "voice", "request.json", "attempts.json", "result.json", "failure.json"
_COPIES_MOST_BYTES = 4 << 30
"""Of results that were fetched for clients; the oldest go."""

_LOG = logging.getLogger("samuel")


class _Attempts(BaseModel):
    starts: int = 0
    crashes: int = 0


class _Published(BaseModel):
    attempt: str
    """Name of its folder."""
    size_bytes: int
    """Of the files in there."""
    result: Result


_Read = TypeVar("_Read", bound=BaseModel)


class ObjectStore:
    """A :class:`JobStore` behind a URL, for one server at a time."""

    def __init__(self, url: str) -> None:
        """Nothing is written yet.

        Raises:
            UserError: nothing here opens such URLs.
        """
        self._fs, root = filesystem(url)
        self._url, self._root = url.rstrip("/"), root.rstrip("/")
        self._here = Path(tempfile.mkdtemp(prefix="samuel-"))
        self._attempts: dict[str, str] = {}
        """Of jobs that are done: names of their folders."""
        self._sizes: dict[str, int] = {}
        """Of all jobs that are there."""

    def close(self) -> None:
        """As the protocol says."""
        shutil.rmtree(self._here, ignore_errors=True)

    def recover(self) -> list[Job]:
        """As the protocol says; what nothing speaks of is swept away."""
        self._fs.invalidate_cache()
        found = self._fs.find(self._root, detail=True)
        names: dict[str, dict[str, int]] = {}  # of a job or an attempt -> its files and their sizes
        for path, facts in found.items():
            folder, _, name = path.rpartition("/")
            names.setdefault(folder, {})[name] = int(facts["size"] or 0)
        jobs, kept = [], set()
        for folder, files in names.items():
            if posixpath.dirname(folder) != f"{self._root}/{_JOBS}":
                continue
            if _REQUEST not in files:  # an upload that was never accepted, or a job that was removed
                self._remove(folder)
                continue
            try:
                job = Job(Request.model_validate_json(self._fs.cat_file(f"{folder}/{_REQUEST}")))
            except ValidationError as error:
                _LOG.warning("%s: is no job that can be read, so it is left alone (%s)", folder, error)
                continue
            attempts = self._read(_Attempts, folder, _ATTEMPTS, files)
            if attempts is not None:
                job.starts, job.crashes = attempts.starts, attempts.crashes
            self._sizes[job.id] = files.get(_VOICE, 0)
            if (published := self._read(_Published, folder, _RESULT, files)) is not None:
                job.result = published.result
                job.takes = list(job.result.takes)
                job.hear(job.result.lead_sheet)
                self._attempts[job.id] = published.attempt
                self._sizes[job.id] += published.size_bytes
                kept.add(published.attempt)
            else:
                job.failure = self._read(Failure, folder, _FAILURE, files)
            jobs.append(job)
        for folder in names:
            parent, _, name = folder.rpartition("/")
            if parent == f"{self._root}/{_ATTEMPTS_FOLDER}" and name not in kept:
                self._remove(folder)
        return sorted(jobs, key=lambda job: (job.starts, job.request.accepted_s))

    def begin_upload(self, job_id: str) -> Path:
        """As the protocol says."""
        return self._here / f"{job_id}.{_VOICE}"

    def discard_upload(self, job_id: str) -> None:
        """As the protocol says."""
        self.begin_upload(job_id).unlink(missing_ok=True)

    def accept(self, request: Request) -> None:
        """As the protocol says."""
        voice = self.begin_upload(request.id)
        put_file(self._fs, voice, self._of_job(request.id, _VOICE))
        self._write(request.id, _REQUEST, request)
        self._sizes[request.id] = voice.stat().st_size

    def upload(self, job_id: str) -> Location:
        """As the protocol says."""
        return f"{self._url}/{_JOBS}/{job_id}/{_VOICE}"

    def count(self, job: Job) -> None:
        """As the protocol says."""
        if job.id in self._sizes:
            self._write(job.id, _ATTEMPTS, _Attempts(starts=job.starts, crashes=job.crashes))

    def new_scratch(self) -> Location:
        """As the protocol says; it is there once there is something in it."""
        return f"{self._url}/{_ATTEMPTS_FOLDER}/{secrets.token_hex(8)}"

    def discard_scratch(self, scratch: Location) -> None:
        """As the protocol says."""
        name = posixpath.basename(str(scratch))
        if name not in self._attempts.values():
            self._remove(f"{self._root}/{_ATTEMPTS_FOLDER}/{name}")

    def publish(self, job_id: str, scratch: Location, result: Result) -> None:
        """As the protocol says."""
        name = posixpath.basename(str(scratch))
        folder = f"{self._root}/{_ATTEMPTS_FOLDER}/{name}"
        self._fs.invalidate_cache()  # others wrote there
        size_bytes = sum(int(facts["size"] or 0) for facts in self._fs.find(folder, detail=True).values())
        self._write_kept(job_id, _RESULT, _Published(attempt=name, size_bytes=size_bytes, result=result))
        self._attempts[job_id] = name
        self._sizes[job_id] += size_bytes

    def fail(self, job_id: str, failure: Failure) -> None:
        """As the protocol says."""
        self._write_kept(job_id, _FAILURE, failure)

    def result_file(self, job_id: str, name: str) -> Path:
        """As the protocol says."""
        copy = self._copies(job_id) / name
        attempt = self._attempts.get(job_id)
        if attempt is not None and not copy.exists():
            self._make_room()
            with replacing(copy) as temporary:
                self._fs.get_file(f"{self._root}/{_ATTEMPTS_FOLDER}/{attempt}/{name}", str(temporary))
        return copy

    def encoded_file(self, job_id: str, name: str) -> Path:
        """As the protocol says; it is made anew on each server."""
        return self._copies(job_id) / name

    def remove(self, job_id: str) -> None:
        """As the protocol says."""
        self._sizes.pop(job_id, None)
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._of_job(job_id, _REQUEST))
        self._remove(f"{self._root}/{_JOBS}/{job_id}")
        if (attempt := self._attempts.pop(job_id, None)) is not None:
            self._remove(f"{self._root}/{_ATTEMPTS_FOLDER}/{attempt}")
        shutil.rmtree(self._here / job_id, ignore_errors=True)

    def size_bytes(self, job_id: str) -> int:
        """As the protocol says: of recording and results, as they were counted when they were written."""
        return self._sizes.get(job_id, 0)

    def _of_job(self, job_id: str, name: str) -> str:
        return f"{self._root}/{_JOBS}/{job_id}/{name}"

    def _copies(self, job_id: str) -> Path:
        folder = self._here / job_id
        folder.mkdir(exist_ok=True)
        return folder

    def _make_room(self) -> None:
        """Remove the oldest copies; whoever reads one of them keeps it open, and goes on."""
        copies = sorted((path.stat().st_mtime, path) for path in self._here.glob("*/*") if path.is_file())
        total = sum(path.stat().st_size for _, path in copies)
        for _, path in copies:
            if total <= _COPIES_MOST_BYTES:
                return
            total -= path.stat().st_size
            path.unlink()

    def _write(self, job_id: str, name: str, value: BaseModel) -> None:
        path = self._of_job(job_id, name)
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        self._fs.pipe_file(path, value.model_dump_json().encode())

    def _write_kept(self, job_id: str, name: str, value: BaseModel) -> None:
        """Write, unless the job was removed before or meanwhile."""
        if job_id in self._sizes:
            self._write(job_id, name, value)
        if job_id not in self._sizes:
            self._remove(f"{self._root}/{_JOBS}/{job_id}")
            raise FileNotFoundError(f"the job {job_id} was removed")

    def _read(self, kind: type[_Read], folder: str, name: str, files: dict[str, Any]) -> _Read | None:
        """A file of a job; None if there is none, or it is torn."""
        if name not in files:
            return None
        try:
            return kind.model_validate_json(self._fs.cat_file(f"{folder}/{name}"))
        except ValidationError as error:
            _LOG.warning("%s/%s: was not written whole, so it counts for nothing (%s)", folder, name, error)
            return None

    def _remove(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm(folder, recursive=True)
