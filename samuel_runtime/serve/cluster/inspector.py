"""An :class:`Inspector` whose processes are Ray's.

Not one that the server starts, as on a machine alone: event loops of Ray's fork, with threads of gRPC at work, and a
child may wait for ever for a lock that one of them held. Two of seven did, on a busy machine.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from samuel_runtime.serve.worker.events import duration_of, reader_ended
from samuel_runtime.serve.worker.inspecting import inspect


class TaskInspector:
    """One recording at a time, so that one process of Ray's does them all."""

    def __init__(self, longest_s: float, timeout_s: float) -> None:
        """On the machine of the server; ``timeout_s`` is how long one recording may take."""
        self._longest_s, self._timeout_s = longest_s, timeout_s
        # An upload lies on the machine that received it, until it is accepted.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._inspect = ray.remote(inspect).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
        self._one_at_a_time = asyncio.Lock()

    async def duration_s(self, voice: Path) -> float:
        """As the protocol says."""
        async with self._one_at_a_time:
            reading = self._inspect.remote(voice, self._longest_s)
            try:
                event = await asyncio.wait_for(reading, self._timeout_s)
            except (TimeoutError, asyncio.TimeoutError):
                ray.cancel(reading, force=True)
                raise reader_ended(f"it gave no sign for {self._timeout_s:.0f} s") from None
            except RayError as error:
                raise reader_ended(type(error).__name__) from error
            except asyncio.CancelledError:
                ray.cancel(reading, force=True)
                raise
        return duration_of(event)

    async def close(self) -> None:
        """As the protocol says; processes are Ray's."""
