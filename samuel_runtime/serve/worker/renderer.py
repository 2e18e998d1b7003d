"""A :class:`Renderer` that is a process of this machine, started anew whenever it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from samuel_runtime.serve.jobs.protocols import DefectError, JobCancelledError, Order, WorkerDiedError
from samuel_runtime.serve.worker.config import RenderConfig
from samuel_runtime.serve.worker.events import conclusion
from samuel_runtime.serve.worker.process import WorkerProcess

_LOADING_S = 600.0
_PAUSES_S = (0.2, 1.0, 5.0, 30.0)  # between attempts to start
_CANCEL_S = 10.0  # how long a step may take before a job that was given up is ended with its process

_LOG = logging.getLogger("samuel")


class ProcessRenderer:
    """Loads the bundle once and keeps it."""

    def __init__(self, config: RenderConfig, silent_s: float) -> None:
        """Nothing runs before :meth:`start`; ``silent_s`` is how long it may work without a sign."""
        self._config, self._silent_s = config, silent_s
        self._process: WorkerProcess | None = None
        self._unready: str | None = "the bundle is being loaded"
        self._orders = 0
        self._running: int | None = None
        self._cancelled: int | None = None

    @property
    def unready_reason(self) -> str | None:
        """As the protocol says."""
        return self._unready

    async def start(self) -> None:
        """As the protocol says."""
        attempt = 0
        while self._process is None or not self._process.alive:
            self._process = await WorkerProcess.start(self._config)
            try:
                event = await self._process.receive(_LOADING_S)
                if event["event"] == "ready":
                    break
                reason = event["detail"]
                await self._process.end()
            except WorkerDiedError as error:
                reason = f"the worker does not start: {error}"
            if reason != self._unready:
                _LOG.warning("%s", reason)
            self._unready = reason
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
        self._unready = None

    async def render(self, order: Order, tell: Callable[[dict[str, Any]], None]) -> dict[str, str]:
        """As the protocol says."""
        process = self._process
        if process is None:
            raise WorkerDiedError("it was not started")
        self._orders += 1
        number = self._running = self._orders
        process.send(
            order=number, voice=str(order.voice), into=str(order.into), wanted=order.wanted.model_dump(mode="json")
        )
        try:
            while True:
                event = await process.receive(self._silent_s)
                if (made_by := conclusion(event)) is not None:
                    return made_by
                tell(event)
        except DefectError:
            await process.end()
            raise
        except WorkerDiedError:
            self._unready = "the worker is started again"
            if self._cancelled == number:
                raise JobCancelledError from None
            raise
        finally:
            self._running = None

    def cancel(self) -> None:
        """As the protocol says; a process that does not listen is ended."""
        process, order = self._process, self._running
        if process is None or order is None:
            return
        self._cancelled = order
        process.send(cancel=order)

        def end_if_it_goes_on() -> None:
            if self._running == order:
                process.kill()

        asyncio.get_running_loop().call_later(_CANCEL_S, end_if_it_goes_on)

    async def close(self) -> None:
        """As the protocol says."""
        if self._process is not None:
            await self._process.end()
