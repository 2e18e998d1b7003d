"""Jobs in an object store: each state, and what is left when the server ends between any two writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")
pytest.importorskip("fsspec", reason="fsspec is not installed (extra `ray`)")

import fsspec

from samuel_runtime.locations import fetched, stored_folder
from samuel_runtime.serve.jobs.job import Failure, Job, Result, State, Take
from samuel_runtime.serve.jobs.objects import ObjectStore
from samuel_runtime.serve.jobs.request import Request, Wanted

VOICE, BAND = b"a recording", b"a band"
ID, OTHER = "0123456789abcdef" * 2, "f" * 32
URL = "memory://samuel/jobs-of-tests"


class KilledError(BaseException):
    """What stands for the end of the process: nobody catches it."""


@pytest.fixture
def fs() -> Iterator[Any]:
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def request(job_id: str = ID) -> Request:
    return Request(id=job_id, client="me", accepted_s=1.0, duration_s=2.0, wanted=Wanted(seed=3))


def result() -> Result:
    take = Take(take=1, seed=3, guidance=2.0, band_gain_db=0.0, warnings=(), seconds={"sample": 1.0})
    return Result(ended_s=time(), provider="cpu", precision="fp32", lead_sheet=None, takes=(take,))


def accept(store: ObjectStore, job_id: str = ID) -> None:
    store.begin_upload(job_id).write_bytes(VOICE)
    store.accept(request(job_id))
    store.discard_upload(job_id)


def publish(store: ObjectStore, job_id: str = ID) -> None:
    scratch = store.new_scratch()
    with stored_folder(scratch) as files:  # as a replica does
        (files / "accompaniment-1.wav").write_bytes(BAND)
    store.publish(job_id, scratch, result())
    store.discard_scratch(scratch)


def recovered() -> dict[str, Job]:
    store = ObjectStore(URL)
    jobs = {job.id: job for job in store.recover()}
    store.close()
    return jobs


def test_every_state_is_found_again(fs: Any) -> None:
    store = ObjectStore(URL)
    accept(store)
    with fetched(store.upload(ID)) as voice:
        assert voice.read_bytes() == VOICE
    (job,) = recovered().values()
    assert (job.state, job.request) == (State.WAITING, request())

    job.starts, job.crashes = 2, 1
    store.count(job)
    (job,) = recovered().values()
    assert (job.state, job.starts, job.crashes) == (State.WAITING, 2, 1)

    publish(store)
    accept(store, OTHER)
    store.fail(OTHER, Failure(ended_s=1.0, detail="it was noise", by_user=True))
    jobs = recovered()
    assert jobs[ID].state is State.DONE and jobs[ID].takes[0].seed == 3
    assert jobs[OTHER].failure is not None and jobs[OTHER].failure.detail == "it was noise"

    store.close()
    store = ObjectStore(URL)
    store.recover()
    assert store.size_bytes(ID) == len(VOICE) + len(BAND)
    assert store.result_file(ID, "accompaniment-1.wav").read_bytes() == BAND
    with pytest.raises(FileNotFoundError):
        store.result_file(ID, "accompaniment-2.wav")
    store.remove(ID)
    store.remove(ID)
    assert set(recovered()) == {OTHER} and not fs.find("/samuel/jobs-of-tests/attempts")
    with pytest.raises(FileNotFoundError):  # and it does not come back
        publish(store)
    assert set(recovered()) == {OTHER}
    store.close()


def test_copies_are_bounded_and_made_again(fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samuel_runtime.serve.jobs.objects._COPIES_MOST_BYTES", 0)
    store = ObjectStore(URL)
    for job_id in (ID, OTHER):
        accept(store, job_id)
        publish(store, job_id)
    first = store.result_file(ID, "accompaniment-1.wav")
    assert store.result_file(OTHER, "accompaniment-1.wav").exists() and not first.exists()
    assert store.result_file(ID, "accompaniment-1.wav").read_bytes() == BAND
    store.close()


def test_a_torn_file_counts_as_not_written(fs: Any) -> None:
    store = ObjectStore(URL)
    accept(store)
    publish(store)
    fs.pipe_file(f"/samuel/jobs-of-tests/jobs/{ID}/result.json", b'{"attempt": "')
    assert recovered()[ID].state is State.WAITING
    store.close()


WRITES = ("put_file", "pipe_file", "rm_file", "rm")
"""What changes a file system; before any of them a process may end."""


def history(fs: Any, scenario: Callable[[ObjectStore], None]) -> Iterator[list[str]]:
    """Run a scenario, ended before its first write, its second, and so on; yields what was told to the client."""
    originals = {name: getattr(fs, name) for name in WRITES}
    for last in range(100):
        fs.store.clear()
        count, told = 0, []

        def counted(name: str) -> Callable[..., Any]:
            def write(*arguments: Any, **named: Any) -> Any:
                nonlocal count
                if count == last:  # noqa: B023
                    raise KilledError
                count += 1
                return originals[name](*arguments, **named)

            return write

        store = ObjectStore(URL)
        store.told = told.append  # type: ignore[attr-defined]
        for name in WRITES:
            setattr(fs, name, counted(name))
        try:
            scenario(store)
            ended = True
        except KilledError:
            ended = False
        finally:
            for name in WRITES:
                delattr(fs, name)
            store.close()
        yield told
        if ended:
            return
    pytest.fail("the scenario writes too often")


def test_a_server_that_is_killed_between_any_two_writes_keeps_its_word(fs: Any) -> None:
    def scenario(store: Any) -> None:
        accept(store)
        store.told("accepted")
        accept(store, OTHER)
        store.told("other accepted")
        publish(store)
        store.told("done")
        store.remove(OTHER)
        store.told("other removed")

    count = 0
    for told in history(fs, scenario):
        jobs, count = recovered(), count + 1
        if "accepted" in told:
            assert jobs[ID].state in ({State.DONE} if "done" in told else {State.WAITING, State.DONE})
        if jobs and ID in jobs and jobs[ID].state is State.DONE:
            store = ObjectStore(URL)
            store.recover()
            assert store.result_file(ID, "accompaniment-1.wav").read_bytes() == BAND
            store.close()
        if "other accepted" in told and "done" not in told:
            assert jobs[OTHER].state is State.WAITING
        for job_id in jobs:
            assert fs.cat_file(f"/samuel/jobs-of-tests/jobs/{job_id}/voice") == VOICE
        if "other removed" in told:
            assert OTHER not in jobs
        named = {path.split("/")[4] for path in fs.find("/samuel/jobs-of-tests/jobs")}
        assert named == set(jobs), "files that nothing speaks of are swept away"
    assert count > 8
