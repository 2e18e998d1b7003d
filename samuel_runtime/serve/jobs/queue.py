"""Whose turn it is: accepted jobs, one after the other, on as many renderers as there are."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from time import time
from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.estimate import Estimate
from samuel_runtime.serve.jobs.job import Failure, Job, Result, State, Take
from samuel_runtime.serve.jobs.protocols import (
    DefectError,
    JobCancelledError,
    JobStore,
    Order,
    Renderer,
    WorkerDiedError,
)
from samuel_runtime.serve.jobs.request import Request
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.metrics import Metrics

_SWEEP_S = 60.0
_DISK_PAUSE_S = 5.0
_RETRY_UNKNOWN_S = 15.0

_LOG = logging.getLogger("samuel")


class QueueFullError(Exception):
    """No more jobs are taken now; the message is a sentence."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        """``retry_after_s`` is when a place may be free."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class JobQueue:
    """All jobs of a server. Its methods belong to one event loop; the store is called in threads."""

    def __init__(self, store: JobStore, renderers: Sequence[Renderer], limits: Limits, metrics: Metrics) -> None:
        """Nothing runs before :meth:`start`."""
        self.store, self.limits, self.metrics = store, limits, metrics
        self.estimate = Estimate()
        self._renderers = renderers
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._running: dict[str, Renderer] = {}
        self._arriving: Counter[str] = Counter()
        self._more = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.closed = False

    async def start(self) -> None:
        """Take up what the last server left, and begin."""
        for job in await asyncio.to_thread(self.store.recover):
            self._jobs[job.id] = job
            if not job.state.ended:
                self._waiting.append(job)
        self._count()
        for renderer in self._renderers:
            turn = asyncio.Lock()  # while one publishes what it has, the renderer works for the other
            self._tasks += [asyncio.create_task(self._work(renderer, turn)) for _ in range(2)]
        self._tasks.append(asyncio.create_task(self._sweep_ever()))

    async def close(self) -> None:
        """End; what was running is done again by the next server."""
        self.closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(renderer.close() for renderer in self._renderers))
        for job in self._jobs.values():
            job.change()

    @property
    def unready_reason(self) -> str | None:
        """Why no job can be done now, in words; None if one can."""
        reasons = [renderer.unready_reason for renderer in self._renderers]
        return None if None in reasons else next(iter(reasons), "there is no worker")

    def get(self, job_id: str) -> Job | None:
        """A job that is not removed."""
        return self._jobs.get(job_id)

    def position(self, job: Job) -> int | None:
        """How many jobs are begun before this one; None if it does not wait."""
        if job in self._waiting:
            return self._waiting.index(job)
        return 0 if job.state is State.WAITING else None  # it is about to begin

    def left_s(self, job: Job) -> float | None:
        """Seconds until a job is done; None if nobody knows."""
        if job.running:
            return self.estimate.left_s(job)
        if (position := self.position(job)) is None:
            return None
        ahead = [self.estimate.left_s(self._jobs[running]) for running in self._running if running in self._jobs]
        ahead += [self.estimate.whole_s(waiting.request) for waiting in self._waiting[:position]]
        known = [seconds for seconds in ahead if seconds is not None]
        own_s = self.estimate.whole_s(job.request)
        if own_s is None or len(known) < len(ahead):
            return None
        return sum(known) / len(self._renderers) + own_s

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """A place in the queue, kept while an upload arrives.

        Raises:
            QueueFullError: there is none, or the client has enough of them.
        """
        own = self._arriving[client] + sum(job.request.client == client for job in self._waiting)
        if own >= self.limits.waiting_of_client:
            raise QueueFullError(
                f"{own} of your recordings wait already; try again when one is done", self._retry_after_s()
            )
        if self._arriving.total() + len(self._waiting) >= self.limits.waiting:
            raise QueueFullError("too many recordings wait already; try again in a while", self._retry_after_s())
        self._arriving[client] += 1
        try:
            yield
        finally:
            self._arriving[client] -= 1
            self._arriving += Counter()  # forgets clients without any

    async def accept(self, request: Request) -> Job:
        """Make an upload a job; when this returns it is never lost.

        Raises:
            OSError: the disk is full.
        """
        await asyncio.to_thread(self.store.accept, request)
        job = self._jobs[request.id] = Job(request)
        async with self._more:
            self._waiting.append(job)
            self._more.notify()
        self._count()
        return job

    async def remove(self, job: Job) -> None:
        """Remove a job, which ends it if it runs."""
        job.removed = True
        self._jobs.pop(job.id, None)
        if job in self._waiting:
            self._waiting.remove(job)
        await asyncio.to_thread(self.store.remove, job.id)
        if (renderer := self._running.get(job.id)) is not None:
            renderer.cancel()
        self._changed_order()
        job.change()

    async def sweep(self, now_s: float | None = None) -> None:
        """Remove ended jobs that are too old, and the oldest where all together are too large."""
        now_s = time() if now_s is None else now_s
        ended = sorted((job for job in self._jobs.values() if job.state.ended), key=lambda job: job.ended_s or 0)
        sizes = {job.id: await asyncio.to_thread(self.store.size_bytes, job.id) for job in list(self._jobs.values())}
        total = sum(sizes.values())
        self.metrics.stored_bytes.set(total)
        for job in ended:
            if now_s - (job.ended_s or 0) > self.limits.keep_s or total > self.limits.total_bytes:
                total -= sizes.get(job.id, 0)
                await self.remove(job)

    async def _sweep_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except OSError as error:
                _LOG.warning("old jobs cannot be removed: %s", error)
            await asyncio.sleep(_SWEEP_S)

    async def _work(self, renderer: Renderer, turn: asyncio.Lock) -> None:
        """Do jobs for ever, in turns with the renderer."""
        while True:
            async with AsyncExitStack() as own_turn:
                await own_turn.enter_async_context(turn)
                await renderer.start()
                async with self._more:
                    await self._more.wait_for(lambda: self._waiting)
                    job = self._waiting.pop(0)
                self._running[job.id] = renderer
                try:
                    await renderer.start()  # it may have died of something else while there was nothing to do
                    await self._attempt(job, renderer, own_turn)
                except OSError as error:
                    if not job.removed:
                        _LOG.warning("the jobs' folder cannot be written to: %s", error)
                        await asyncio.sleep(_DISK_PAUSE_S)
                        self._again(job)
                finally:
                    self._running.pop(job.id, None)
                    job.running = False
                    job.change()
                    self._count()
            async with self._more:
                self._more.notify_all()

    async def _attempt(self, job: Job, renderer: Renderer, own_turn: AsyncExitStack) -> None:
        """Do a job once, and keep what came of it; the turn is over as soon as the renderer is free.

        Raises:
            OSError: that cannot be kept; FileNotFoundError if the job was removed meanwhile.
        """
        job.starts += 1
        await asyncio.to_thread(self.store.count, job)
        scratch = await asyncio.to_thread(self.store.new_scratch)
        job.begin()
        self._changed_order()
        self._count()
        try:
            order = Order(self.store.upload(job.id), job.request.wanted, scratch)
            made_by = await renderer.render(order, lambda event: self._note(job, event))
            self._running.pop(job.id)
            await own_turn.aclose()
            result = Result(ended_s=time(), lead_sheet=job.lead_sheet, takes=tuple(job.takes), **made_by)
            await asyncio.to_thread(self.store.publish, job.id, scratch, result)
            job.result = result
            self._learn(job)
        except JobCancelledError:
            if not job.removed:  # nobody else cancels, but a renderer may be wrong
                self._again(job)
        except UserError as error:
            await self._fail(job, str(error), by_user=True)
        except DefectError:
            await self._fail(
                job, "samuel failed on this recording by a fault of its own; the server's log says more", by_user=False
            )
        except WorkerDiedError as error:
            await self._crashed(job, str(error))
        finally:
            await asyncio.to_thread(self.store.discard_scratch, scratch)

    async def _crashed(self, job: Job, how: str) -> None:
        if job.removed:
            return
        job.crashes += 1
        _LOG.warning("a worker ended while it did job %s: %s", job.id[:8], how)
        self.metrics.errors.labels("crash").inc()
        if job.crashes < self.limits.crashes:
            await asyncio.to_thread(self.store.count, job)
            self._again(job)
            return
        detail = f"this recording brought {job.crashes} workers down, so it was given up ({how}); try a shorter one"
        await self._fail(job, detail, by_user=False)

    async def _fail(self, job: Job, detail: str, *, by_user: bool) -> None:
        if job.removed:
            return
        failure = Failure(ended_s=time(), detail=detail, by_user=by_user)
        await asyncio.to_thread(self.store.fail, job.id, failure)
        job.failure = failure
        self.metrics.jobs.labels("refused" if by_user else "failed").inc()
        self.metrics.errors.labels("refused" if by_user else "defect").inc()

    def _again(self, job: Job) -> None:
        if not job.removed:
            self._waiting.append(job)

    def _note(self, job: Job, event: dict[str, Any]) -> None:
        """An event of a renderer."""
        if job.removed:
            return
        if event["event"] == "progress":
            job.reach(event["take"], event["stage"], event["done"], event["total"])
        elif event["event"] == "heard":
            job.hear(event["lead_sheet"])
        elif event["event"] == "take":
            job.takes.append(Take.model_validate(event["result"]))
            job.change()

    def _learn(self, job: Job) -> None:
        total_s = 0.0
        for take in job.takes:
            self.estimate.learn(job.request, take.seconds)
            total_s += sum(take.seconds.values())
            for stage, seconds in take.seconds.items():
                self.metrics.stage_seconds.labels(stage).observe(seconds)
        self.metrics.real_time_factor.observe(total_s / len(job.takes) / job.request.duration_s)
        self.metrics.jobs.labels("done").inc()

    def _changed_order(self) -> None:
        """Tell those who wait that they wait for less."""
        for job in self._waiting:
            job.change()

    def _count(self) -> None:
        self.metrics.waiting.set(len(self._waiting))
        self.metrics.running.set(sum(job.state is State.RUNNING for job in self._jobs.values()))

    def _retry_after_s(self) -> float:
        left = [self.left_s(self._jobs[job_id]) for job_id in self._running if job_id in self._jobs]
        known = [seconds for seconds in left if seconds is not None]
        return max(1.0, min(known)) if known else _RETRY_UNKNOWN_S
