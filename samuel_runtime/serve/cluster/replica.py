"""A replica: one bundle, loaded once, and several jobs at a time, whose windows are sampled together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import ray
from ray import serve

from samuel_runtime.diffusion.batching import BatchedDenoiser, PendingWindow, largest_batch, sample_together
from samuel_runtime.locations import fetched, stored_folder
from samuel_runtime.pipeline import Samuel
from samuel_runtime.serve.cluster.settings import ClusterSettings
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.worker.rendering import backend_of, render_order


class BundleReplica:
    """What Ray Serve keeps as many of as are needed."""

    def __init__(self, settings: ClusterSettings) -> None:
        """Load the bundle.

        Raises:
            UserError: it is not in order, or cannot run here.
        """
        own = Samuel.load(settings.bundle, settings.provider, settings.threads)
        self._samuel = own.with_denoiser(BatchedDenoiser(own.denoiser, self._submit))
        # Pools of their own: a window must never wait for a thread that a job keeps while it waits for the window.
        self._jobs = ThreadPoolExecutor(settings.ongoing, "job")
        sampling = ThreadPoolExecutor(1, "sampling")

        @serve.batch(
            max_batch_size=settings.together, batch_wait_timeout_s=settings.batch_wait_s, batch_size_fn=largest_batch
        )
        async def together(windows: list[PendingWindow]) -> list[None]:
            self._idle.clear()
            try:
                await asyncio.get_running_loop().run_in_executor(sampling, sample_together, own.denoiser, windows)
            finally:
                self._idle.set()
            return [None] * len(windows)

        self._together = together
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def backend(self) -> dict[str, str]:
        """Provider and precision, once the bundle is loaded."""
        return backend_of(self._samuel)

    async def render(self, order: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Do an order.

        Args:
            order: ``voice`` and ``into``, locations as text, and ``wanted``, settings as plain values.

        Yields:
            "begun" with the node that has it, then the events that samuel_runtime/serve/worker/pipe.py lists; the last
            is how it ends. To cancel it, cancel the call.

        Raises:
            OSError: the store failed; another attempt may succeed.
        """
        loop = self._loop = asyncio.get_running_loop()
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        given_up = threading.Event()

        def tell(**event: Any) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        def work() -> dict[str, Any]:
            with fetched(order["voice"]) as voice, stored_folder(order["into"]) as into:
                wanted = Wanted.model_validate(order["wanted"])
                return render_order(self._samuel, voice, into, wanted, tell, given_up.is_set)

        working = loop.run_in_executor(self._jobs, work)
        working.add_done_callback(lambda _: events.put_nowait(None))
        try:
            yield {"event": "begun", "node": ray.get_runtime_context().get_node_id()}
            while (event := await events.get()) is not None:
                yield event
            yield working.result()
        finally:
            given_up.set()

    def _submit(self, window: PendingWindow) -> Future[Any]:
        """From a job's thread to the loop in which batches form."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self._sampled(window), self._loop)

    async def _sampled(self, window: PendingWindow) -> None:
        # Ray closes a batch after its short wait even while another is sampled; whatever comes until that ends waits
        # here, and is one batch.
        await self._idle.wait()
        await self._together(window)
