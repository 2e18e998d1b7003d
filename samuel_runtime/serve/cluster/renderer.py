"""A :class:`Renderer` that is a place in the replicas of a Ray Serve deployment; Ray chooses the replica."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from samuel_runtime.serve.jobs.protocols import JobCancelledError, Order, Tell, WorkerDiedError
from samuel_runtime.serve.worker.events import conclusion

_PAUSE_S = 1.0

_LOG = logging.getLogger("samuel")


class ReplicaRenderer:
    """As many as there may be jobs in all replicas together: those for which there is no replica yet wait in Ray."""

    def __init__(self, handle: DeploymentHandle, silent_s: float) -> None:
        """Of the deployment; ``silent_s`` is how long a replica may work without a sign."""
        self._handle, self._silent_s = handle, silent_s
        self._unready: str | None = "no replica has loaded the bundle yet"
        self._running: DeploymentResponseGenerator[dict[str, Any]] | None = None
        self._cancelled = False

    @property
    def unready_reason(self) -> str | None:
        """As the protocol says."""
        return self._unready

    async def start(self) -> None:
        """As the protocol says."""
        while self._unready is not None:
            try:
                await self._handle.backend.remote()
                self._unready = None
            except (RayError, RayServeException) as error:
                _LOG.warning("no replica answers: %s", error)
                await asyncio.sleep(_PAUSE_S)

    async def render(self, order: Order, tell: Tell) -> dict[str, str]:
        """As the protocol says."""
        self._cancelled = False
        wanted = order.wanted.model_dump(mode="json")
        events = cast(
            "DeploymentResponseGenerator[dict[str, Any]]",
            self._handle.options(stream=True).render.remote(
                {"voice": str(order.voice), "into": str(order.into), "wanted": wanted}
            ),
        )
        self._running, node = events, "?"
        try:
            begun = await anext(events)  # before that it waits for a replica, however long that takes
            node = begun["node"]
            while True:
                event = await asyncio.wait_for(anext(events), self._silent_s)
                if (made_by := conclusion(event)) is not None:
                    return made_by
                tell(event)
        except asyncio.CancelledError:
            if self._cancelled:
                raise JobCancelledError from None
            raise
        except (TimeoutError, asyncio.TimeoutError):
            raise WorkerDiedError(f"on node {node[:8]} it gave no sign for {self._silent_s:.0f} s") from None
        except (RayError, RayServeException, StopAsyncIteration) as error:
            if self._cancelled:
                raise JobCancelledError from None
            self._unready = "a replica is gone, and another begins"
            raise WorkerDiedError(f"its replica on node {node[:8]} ended: {type(error).__name__}") from error
        finally:
            self._running = None
            events.cancel()

    def cancel(self) -> None:
        """As the protocol says."""
        if self._running is not None:
            self._cancelled = True
            self._running.cancel()

    async def close(self) -> None:
        """As the protocol says; replicas are Ray's."""
        self.cancel()
