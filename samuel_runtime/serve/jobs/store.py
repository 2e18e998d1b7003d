"""Jobs in a folder: each state is a place and a file name, and each transition one rename.

::

    incoming/ID/                an upload; no job yet, and gone at the next start
      voice                     the recording, as it comes
      request.json              what was asked
    jobs/ID/                    an accepted job
      voice, request.json       never changed again
      attempts.json             how often it was begun, and how many workers died of it
      result/                   there: it is done
        result.json             seeds, warnings, lead sheet
        voice.wav, accompaniment-1.wav, mix-1.wav, accompaniment-2.wav, ...
      failure.json              there: it failed, and why
      encoded/                  results in other formats, made when they are asked for; not synced, since they can be
                                made again
    scratch/NAME/               one attempt's files; gone when it ends, and at the next start
    trash/ID/                   removed; gone soon, and at the next start
    lock                        held by the one server that uses the folder

States and transitions::

                 accept                      publish
    (uploading) --------> waiting <-+------------------> done -----+
                             |      |  |                           |  remove
                       begin |      |  | fail                      +---------> (removed)
                             v      |  +---------------> failed ---+
                          running --+                              |
                             |     restart of the server,          |
                             |     or another attempt              |
                             +-------------------------------------+

=========  ==================================================  ===============================================
name       what is written and synced before                   the rename that does it, whose folder is synced
=========  ==================================================  ===============================================
accept     incoming/ID/voice, incoming/ID/request.json         incoming/ID -> jobs/ID, then "202 Accepted"
begin      -                                                   attempts.json's
publish    all of scratch/NAME, result.json in it              scratch/NAME -> jobs/ID/result
fail       -                                                   failure.json's
remove     -                                                   jobs/ID -> trash/ID, then "204 No Content"
=========  ==================================================  ===============================================

"running" is nowhere on the disk: it is "waiting" with somebody at work in scratch/. So a server that is killed at any
moment comes back with every accepted job waiting, done or failed. What can be downloaded lies in result/ or encoded/,
and comes there by one rename, so it is never half a file. A job that was begun more often waits longer: should one take
the whole server down, the others are done first.

Names in here are made by this software alone: ids are hexadecimal, and no part of a path comes from a request.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.durable import move, sync_folder, sync_tree, write_file
from samuel_runtime.serve.jobs.job import Failure, Job, Result
from samuel_runtime.serve.jobs.protocols import Location
from samuel_runtime.serve.jobs.request import Request

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows, where a second server is the user's to avoid
    flock = None  # type: ignore[assignment]

_INCOMING, _JOBS, _SCRATCH, _TRASH = "incoming", "jobs", "scratch", "trash"
_VOICE, _REQUEST, _ATTEMPTS, _RESULT, _FAILURE = "voice", "request.json", "attempts.json", "result", "failure.json"
_OF_RESULT = "result.json"
_ENCODED = "encoded"

_LOG = logging.getLogger("samuel")


class _Attempts(BaseModel):
    starts: int = 0
    crashes: int = 0


class FolderStore:
    """A :class:`JobStore` in a folder of this machine, for one server at a time."""

    def __init__(self, root: Path) -> None:
        """Take the folder, which is made if need be.

        Raises:
            UserError: another server uses it, or it cannot be written to.
        """
        self.root = root
        try:
            for name in (_INCOMING, _JOBS, _SCRATCH, _TRASH):
                (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(root)
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{root}: cannot be written to ({reason}); choose another --data") from error
        try:
            if flock is not None:
                flock(self._lock, LOCK_EX | LOCK_NB)  # ends with the process, however that ends
        except OSError as error:
            os.close(self._lock)
            raise UserError(
                f"{root}: another samuel-serve uses this folder; end it, or choose another --data"
            ) from error

    def close(self) -> None:
        """As the protocol says."""
        os.close(self._lock)

    def recover(self) -> list[Job]:
        """As the protocol says; what uploads and attempts had left is swept away."""
        for name in (_INCOMING, _SCRATCH, _TRASH):
            for left in (self.root / name).iterdir():
                shutil.rmtree(left, ignore_errors=True)
        jobs = []
        for folder in (self.root / _JOBS).iterdir():
            try:
                jobs.append(_read(folder))
            except (OSError, ValidationError) as error:
                # Of a newer version, or a disk that lost what it had synced; not ours to throw away.
                _LOG.warning("%s: is no job that can be read, so it is left alone (%s)", folder, error)
        return sorted(jobs, key=lambda job: (job.starts, job.request.accepted_s))

    def begin_upload(self, job_id: str) -> Path:
        """As the protocol says."""
        folder = self.root / _INCOMING / job_id
        folder.mkdir(mode=0o700)
        return folder / _VOICE

    def discard_upload(self, job_id: str) -> None:
        """As the protocol says."""
        shutil.rmtree(self.root / _INCOMING / job_id, ignore_errors=True)

    def accept(self, request: Request) -> None:
        """As the protocol says."""
        folder = self.root / _INCOMING / request.id
        (folder / _REQUEST).write_bytes(request.model_dump_json().encode())
        sync_tree(folder)
        move(folder, self.root / _JOBS / request.id)

    def upload(self, job_id: str) -> Path:
        """As the protocol says."""
        return self._job(job_id) / _VOICE

    def count(self, job: Job) -> None:
        """As the protocol says."""
        attempts = _Attempts(starts=job.starts, crashes=job.crashes)
        with suppress(FileNotFoundError):  # removed
            write_file(self._job(job.id) / _ATTEMPTS, attempts.model_dump_json().encode())

    def new_scratch(self) -> Path:
        """As the protocol says."""
        scratch = self.root / _SCRATCH / secrets.token_hex(8)
        scratch.mkdir(mode=0o700)
        return scratch

    def discard_scratch(self, scratch: Location) -> None:
        """As the protocol says."""
        shutil.rmtree(scratch, ignore_errors=True)

    def publish(self, job_id: str, scratch: Location, result: Result) -> None:
        """As the protocol says."""
        folder = Path(scratch)
        (folder / _OF_RESULT).write_bytes(result.model_dump_json().encode())
        sync_tree(folder)
        move(folder, self._job(job_id) / _RESULT)

    def fail(self, job_id: str, failure: Failure) -> None:
        """As the protocol says."""
        write_file(self._job(job_id) / _FAILURE, failure.model_dump_json().encode())

    def result_file(self, job_id: str, name: str) -> Path:
        """As the protocol says."""
        return self._job(job_id) / _RESULT / name

    def encoded_file(self, job_id: str, name: str) -> Path:
        """As the protocol says."""
        folder = self._job(job_id) / _ENCODED
        with suppress(FileExistsError):
            folder.mkdir()
        return folder / name

    def remove(self, job_id: str) -> None:
        """As the protocol says."""
        trash = self.root / _TRASH / job_id
        with suppress(FileNotFoundError):
            move(self._job(job_id), trash)
        shutil.rmtree(trash, ignore_errors=True)

    def size_bytes(self, job_id: str) -> int:
        """As the protocol says."""
        total = 0
        for folder, _, names in os.walk(self._job(job_id)):
            for name in names:
                with suppress(OSError):
                    total += os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118  # of many files
        return total

    def _job(self, job_id: str) -> Path:
        return self.root / _JOBS / job_id


def _read(folder: Path) -> Job:
    """A job as its folder tells it."""
    job = Job(Request.model_validate_json((folder / _REQUEST).read_bytes()))
    if job.id != folder.name:
        raise FileNotFoundError(f"{folder} holds the job {job.id}")
    if (attempts := folder / _ATTEMPTS).exists():
        counted = _Attempts.model_validate_json(attempts.read_bytes())
        job.starts, job.crashes = counted.starts, counted.crashes
    if (result := folder / _RESULT / _OF_RESULT).exists():
        job.result = Result.model_validate_json(result.read_bytes())
        job.takes = list(job.result.takes)
        job.hear(job.result.lead_sheet)
    elif (failure := folder / _FAILURE).exists():
        job.failure = Failure.model_validate_json(failure.read_bytes())
    return job
