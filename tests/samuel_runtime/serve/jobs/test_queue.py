"""Whose turn it is, with renderers that do as they are told: order, bounds, crashes, removal, age."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import time
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.job import STAGES, Job, State
from samuel_runtime.serve.jobs.protocols import DefectError, JobCancelledError, Order, WorkerDiedError
from samuel_runtime.serve.jobs.queue import JobQueue, QueueFullError
from samuel_runtime.serve.jobs.request import Request, Wanted
from samuel_runtime.serve.jobs.store import FolderStore
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.metrics import Metrics

WAIT_S = 60.0


class FakeRenderer:
    """Does what `ends` says of a job, by its seed: an exception, or a band."""

    def __init__(self, ends: dict[int, list[BaseException]] | None = None, *, held: bool = False) -> None:
        self.unready_reason: str | None = None
        self.seeds: list[int] = []
        self.go = asyncio.Event()
        self._ends, self._cancelled = ends or {}, False
        if not held:
            self.go.set()

    async def start(self) -> None:
        """It is there."""

    async def render(self, order: Order, tell: Callable[[dict[str, Any]], None]) -> dict[str, str]:
        """A band of a few bytes."""
        seed = order.wanted.seed
        self.seeds.append(seed)
        self._cancelled = False
        for stage in STAGES:
            tell({"event": "progress", "take": 1, "stage": stage, "done": 1, "total": 2})
        await self.go.wait()
        if self._cancelled:
            raise JobCancelledError
        if self._ends.get(seed):
            raise self._ends[seed].pop(0)
        assert order.voice.read_bytes() == b"voice"
        (order.into / "accompaniment-1.wav").write_bytes(b"band")
        take = {"take": 1, "seed": seed, "guidance": 1.0, "band_gain_db": 0.0, "warnings": []}
        tell({"event": "take", "result": {**take, "seconds": dict.fromkeys(STAGES, 0.5)}})
        return {"provider": "fake", "precision": "fp32"}

    def cancel(self) -> None:
        """At once."""
        self._cancelled = True
        self.go.set()

    async def close(self) -> None:
        """Nothing to end."""


class Bench:
    """A queue in a folder."""

    def __init__(self, root: Path, renderer: FakeRenderer, limits: Limits | None = None) -> None:
        self.store, self.renderer = FolderStore(root), renderer
        self.queue = JobQueue(self.store, [renderer], limits or Limits(), Metrics())

    async def ask(self, seed: int, client: str = "me") -> Job:
        """Have a job accepted."""
        with self.queue.place(client):
            job_id = f"{seed:032x}"
            self.store.begin_upload(job_id).write_bytes(b"voice")
            wanted = Wanted(seed=seed, steps=10)
            return await self.queue.accept(
                Request(id=job_id, client=client, accepted_s=float(seed), duration_s=10.0, wanted=wanted)
            )

    async def until(self, job: Job, *states: State) -> None:
        """Wait until a job is in one of these states."""
        while job.state not in states:
            assert await job.changed(WAIT_S), f"it stayed {job.state}"


def run(
    root: Path,
    scenario: Callable[[Bench], Awaitable[None]],
    ends: dict[int, list[BaseException]] | None = None,
    limits: Limits | None = None,
    *,
    held: bool = False,
) -> None:
    """Start a queue, go through a scenario, and end it."""

    async def whole() -> None:
        bench = Bench(root, FakeRenderer(ends, held=held), limits)
        await bench.queue.start()
        try:
            await asyncio.wait_for(scenario(bench), WAIT_S)
        finally:
            await bench.queue.close()
            bench.store.close()

    asyncio.run(whole())


def test_jobs_are_done_in_their_order_and_say_how_many_are_before_them(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [await bench.ask(seed) for seed in range(4)]
        await bench.until(jobs[0], State.RUNNING)
        assert [bench.queue.position(job) for job in jobs] == [None, 0, 1, 2]
        assert bench.queue.left_s(jobs[3]) is None  # nobody knows before one was done
        bench.renderer.go.set()
        for job in jobs:
            await bench.until(job, State.DONE)
        assert bench.renderer.seeds == [0, 1, 2, 3]
        assert bench.store.result_file(jobs[2].id, "accompaniment-1.wav").read_bytes() == b"band"
        bench.renderer.go.clear()
        first, second = await bench.ask(4), await bench.ask(5)
        await bench.until(first, State.RUNNING)
        assert bench.queue.left_s(first) == pytest.approx(0.25, abs=0.25)
        left_s = bench.queue.left_s(second)
        assert left_s is not None and 2.0 < left_s < 2.6  # its own 2 s, and what the first still takes

    run(tmp_path, scenario, held=True)


def test_one_bad_job_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        bad, broken, good = [await bench.ask(seed) for seed in (1, 2, 3)]
        await bench.until(good, State.DONE)
        assert bad.failure is not None and bad.failure.detail == "voice: is noise" and bad.failure.by_user
        assert broken.failure is not None and "fault of its own" in broken.failure.detail
        assert bench.renderer.seeds == [1, 2, 3]

    run(tmp_path, scenario, {1: [UserError("voice: is noise")], 2: [DefectError()]})


def test_a_job_whose_worker_died_is_done_again_after_the_others(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        unlucky, other = await bench.ask(1), await bench.ask(2)
        bench.renderer.go.set()
        for job in (unlucky, other):
            await bench.until(job, State.DONE)
        assert bench.renderer.seeds == [1, 2, 1]
        assert (unlucky.starts, unlucky.crashes) == (2, 1)

    run(tmp_path, scenario, {1: [WorkerDiedError("killed by signal 9")]}, held=True)


def test_a_renderer_waited_until_its_band_was_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next job is rendered while one is published, and no more than that one."""
    synced = threading.Event()
    publish = FolderStore.publish

    def slow(self: FolderStore, *given: Any) -> None:
        assert synced.wait(WAIT_S)
        publish(self, *given)

    monkeypatch.setattr(FolderStore, "publish", slow)

    async def scenario(bench: Bench) -> None:
        jobs = [await bench.ask(seed) for seed in (1, 2, 3)]
        bench.renderer.go.set()
        await bench.until(jobs[1], State.RUNNING)
        await asyncio.sleep(0.1)
        assert bench.renderer.seeds == [1, 2]
        assert [job.state for job in jobs] == [State.RUNNING, State.RUNNING, State.WAITING]
        await bench.queue.remove(jobs[0])  # which must not end what the renderer does now
        synced.set()
        await bench.until(jobs[2], State.DONE)
        assert bench.renderer.seeds == [1, 2, 3] and jobs[1].state is State.DONE
        assert bench.queue.get(jobs[0].id) is None

    run(tmp_path, scenario, held=True)


def test_a_job_that_took_two_workers_down_is_given_up(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        job = await bench.ask(1)
        await bench.until(job, State.FAILED)
        assert job.failure is not None and not job.failure.by_user
        assert job.failure.detail.startswith("this recording brought 2 workers down, so it was given up (killed")
        assert bench.renderer.seeds == [1, 1]

    run(tmp_path, scenario, {1: [WorkerDiedError("killed by signal 11")] * 3})


def test_crashes_are_remembered_by_the_next_server(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        job = await bench.ask(1)
        while job.starts < 2:
            await job.changed(WAIT_S)  # until it runs again, and there the server ends

    async def after(bench: Bench) -> None:
        job = bench.queue.get(f"{1:032x}")
        assert job is not None and job.crashes == 1
        await bench.until(job, State.FAILED)

    class Once(FakeRenderer):
        async def render(self, order: Order, tell: Callable[[dict[str, Any]], None]) -> dict[str, str]:
            self.seeds.append(order.wanted.seed)
            if len(self.seeds) > 1:
                await asyncio.sleep(WAIT_S)
            raise WorkerDiedError("killed by signal 9")

    async def first() -> None:
        bench = Bench(tmp_path, Once())
        await bench.queue.start()
        await before(bench)
        await bench.queue.close()
        bench.store.close()

    asyncio.run(first())
    run(tmp_path, after, {1: [WorkerDiedError("killed by signal 9")]})


def test_too_many_jobs_are_refused_with_the_time_to_come_again(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        running = await bench.ask(0)
        await bench.until(running, State.RUNNING)
        await bench.ask(1)
        await bench.ask(2)
        with pytest.raises(QueueFullError, match="2 of your recordings wait already") as refused:
            await bench.ask(3)
        assert refused.value.retry_after_s > 0
        await bench.ask(4, client="you")
        with pytest.raises(QueueFullError, match="too many recordings wait already"):
            await bench.ask(5, client="they")
        bench.renderer.go.set()
        await bench.until(running, State.DONE)
        await bench.until(await bench.ask(6, client="they"), State.DONE)  # there is a place again

    run(tmp_path, scenario, limits=Limits(waiting=3, waiting_of_client=2), held=True)


def test_uploads_that_go_on_hold_their_places(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        with bench.queue.place("me"), pytest.raises(QueueFullError, match="1 of your"):
            await bench.ask(1)
        await bench.ask(2)

    run(tmp_path, scenario, limits=Limits(waiting_of_client=1), held=True)


def test_a_removed_job_ends_and_the_next_begins(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        running, waiting, last = [await bench.ask(seed) for seed in (1, 2, 3)]
        await bench.until(running, State.RUNNING)
        await bench.queue.remove(waiting)
        await bench.queue.remove(running)
        await bench.until(last, State.DONE)
        assert bench.renderer.seeds == [1, 3]
        assert bench.queue.get(running.id) is None and bench.queue.get(waiting.id) is None
        assert [job.id for job in bench.store.recover()] == [last.id]

    run(tmp_path, scenario, held=True)


def test_what_the_last_server_left_is_done(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        jobs = [await bench.ask(seed) for seed in (1, 2)]
        await bench.until(jobs[0], State.RUNNING)

    async def after(bench: Bench) -> None:
        jobs = [bench.queue.get(f"{seed:032x}") for seed in (1, 2)]
        for job in jobs:
            assert job is not None
            await bench.until(job, State.DONE)
        assert bench.renderer.seeds == [2, 1]  # what was begun waits longer: it may be why the server ended

    run(tmp_path, before, held=True)
    run(tmp_path, after)


def test_a_full_disk_delays_a_job_and_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samuel_runtime.serve.jobs.queue._DISK_PAUSE_S", 0.01)
    publish, failures = FolderStore.publish, [OSError(errno.ENOSPC, "No space left on device")] * 2

    def sometimes(self: FolderStore, *arguments: Any) -> None:
        if failures:
            raise failures.pop()
        publish(self, *arguments)

    monkeypatch.setattr(FolderStore, "publish", sometimes)

    async def scenario(bench: Bench) -> None:
        job = await bench.ask(1)
        await bench.until(job, State.DONE)
        assert bench.renderer.seeds == [1, 1, 1]

    run(tmp_path, scenario)


def test_old_bands_go_and_the_oldest_where_there_are_too_many(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [await bench.ask(seed) for seed in range(3)]
        for job in jobs:
            await bench.until(job, State.DONE)
        bench.renderer.go.clear()
        running = await bench.ask(9)
        await bench.until(running, State.RUNNING)
        await bench.queue.sweep(time() + 99)
        assert all(bench.queue.get(job.id) for job in jobs)
        size = bench.store.size_bytes(jobs[0].id)
        bench.queue.limits = Limits(total_bytes=3 * size)
        await bench.queue.sweep()
        assert [bench.queue.get(job.id) is None for job in jobs] == [True, False, False]
        bench.queue.limits = Limits(keep_s=100.0)
        await bench.queue.sweep(time() + 101)
        assert [job.id for job in bench.store.recover()] == [running.id]  # which has not ended

    run(tmp_path, scenario)
