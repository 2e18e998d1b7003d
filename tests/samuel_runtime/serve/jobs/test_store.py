"""Jobs on disk: each state, and what is left when the process ends between any two operations on files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.job import Failure, Job, Result, State, Take
from samuel_runtime.serve.jobs.request import Request, Wanted
from samuel_runtime.serve.jobs.store import FolderStore

VOICE = b"a recording"
BAND = b"a band"
ID = "0123456789abcdef" * 2
OTHER = "f" * 32


class KilledError(BaseException):
    """What stands for the end of the process: nobody catches it."""


def request(job_id: str = ID, accepted_s: float = 1.0) -> Request:
    return Request(id=job_id, client="me", accepted_s=accepted_s, duration_s=2.0, wanted=Wanted(seed=3))


def result() -> Result:
    take = Take(take=1, seed=3, guidance=2.0, band_gain_db=0.0, warnings=(), seconds={"sample": 1.0})
    return Result(ended_s=time(), provider="cpu", precision="fp32", lead_sheet=None, takes=(take,))


def accept(store: FolderStore, job_id: str = ID, accepted_s: float = 1.0) -> None:
    store.begin_upload(job_id).write_bytes(VOICE)
    store.accept(request(job_id, accepted_s))


def publish(store: FolderStore, job_id: str = ID) -> None:
    scratch = store.new_scratch()
    (scratch / "accompaniment-1.wav").write_bytes(BAND)
    store.publish(job_id, scratch, result())


def recovered(root: Path) -> dict[str, Job]:
    store = FolderStore(root)
    jobs = {job.id: job for job in store.recover()}
    store.close()
    return jobs


def test_every_state_is_found_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    accept(store)
    assert store.upload(ID).read_bytes() == VOICE
    store.close()
    (job,) = recovered(tmp_path).values()
    assert (job.state, job.request) == (State.WAITING, request())

    store = FolderStore(tmp_path)
    job.starts, job.crashes = 2, 1
    store.count(job)
    store.close()
    (job,) = recovered(tmp_path).values()
    assert (job.state, job.starts, job.crashes) == (State.WAITING, 2, 1)

    store = FolderStore(tmp_path)
    publish(store)
    accept(store, OTHER)
    store.fail(OTHER, Failure(ended_s=1.0, detail="it was noise", by_user=True))
    store.close()
    jobs = recovered(tmp_path)
    assert jobs[ID].state is State.DONE and jobs[ID].takes[0].seed == 3
    assert jobs[OTHER].failure is not None and jobs[OTHER].failure.detail == "it was noise"

    store = FolderStore(tmp_path)
    assert store.size_bytes(ID) > len(VOICE) + len(BAND)
    store.remove(ID)
    store.remove(ID)
    store.close()
    assert set(recovered(tmp_path)) == {OTHER}


def test_what_was_begun_often_waits_longer(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for index in range(4):
        accept(store, f"{index}" * 32, accepted_s=float(index))
    tried = Job(request("1" * 32), starts=1)
    store.count(tried)
    store.close()
    assert [job_id[0] for job_id in recovered(tmp_path)] == ["0", "2", "3", "1"]


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    store = FolderStore(tmp_path)
    with pytest.raises(UserError, match="another samuel-serve uses this folder"):
        FolderStore(tmp_path)
    store.close()
    FolderStore(tmp_path).close()


def test_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    accept(store)
    (store.upload(ID).parent / "request.json").write_bytes(b'{"schema_version": 1, "id": ')
    accept(store, OTHER)
    store.close()
    assert set(recovered(tmp_path)) == {OTHER}
    assert (tmp_path / "jobs" / ID / "voice").read_bytes() == VOICE


def test_the_folder_is_nobody_elses(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "data")
    accept(store)
    if os.name != "nt":
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())
    store.close()


OPERATIONS = ("fsync", "replace", "mkdir", "rmdir", "unlink")
"""Of the system, between any two of which a process may end."""


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """Have the process end before the n-th operation; returns whether that came."""
    count = -1

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count >= number:  # nothing happens any more after the end
                raise KilledError
            return original(*arguments, **named)

        return operation

    for name in OPERATIONS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: count >= number


@pytest.mark.parametrize("ending", ["publish", "fail", "remove"])
def test_the_end_of_the_process_at_any_moment_loses_nothing_and_leaves_nothing_half(
    ending: str, tmp_path: Path
) -> None:
    moments = 0
    for number in range(60):
        root = tmp_path / str(number)
        store = FolderStore(root)
        promised: list[str] = []
        with pytest.MonkeyPatch.context() as monkeypatch:
            came = killed_at(monkeypatch, number)
            try:
                accept(store)
                promised.append("accepted")
                job = Job(request(), starts=1)
                store.count(job)
                if ending == "publish":
                    publish(store)
                elif ending == "fail":
                    store.fail(ID, Failure(ended_s=1.0, detail="no", by_user=True))
                else:
                    store.remove(ID)
                promised.append(ending)
            except KilledError:
                pass
            was_killed = came()
        store.close()
        job_folder = root / "jobs" / ID
        if (job_folder / "result").exists():  # what can be downloaded is whole
            assert (job_folder / "result" / "accompaniment-1.wav").read_bytes() == BAND
        jobs = recovered(root)
        if "remove" in promised:
            assert not jobs
        elif promised == ["accepted"]:
            assert (ID in jobs and jobs[ID].request == request()) or ending == "remove"
        elif promised:
            assert jobs[ID].state is (State.DONE if ending == "publish" else State.FAILED)
        if ID in jobs:
            assert (job_folder / "voice").read_bytes() == VOICE
        assert not any(any((root / name).iterdir()) for name in ("incoming", "scratch", "trash"))
        shutil.rmtree(root)
        if not was_killed:
            break
        moments += 1
    assert 8 <= moments < 59


def test_a_promise_is_on_the_disk_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content first, then the name: an fsync of every file, the rename, an fsync of the folder that has the name."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux tells the names of open files here")
    store = FolderStore(tmp_path)
    store.begin_upload(ID).write_bytes(VOICE)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    store.accept(request())
    monkeypatch.undo()
    at = steps.index("rename")
    assert {"voice", "request.json", ID} <= set(steps[:at]) and "jobs" in steps[at:]
    store.close()
