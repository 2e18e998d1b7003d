"""An :class:`Inspector` that is a process of this machine, started anew whenever it dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

from samuel_runtime.serve.jobs.protocols import WorkerDiedError
from samuel_runtime.serve.worker.config import InspectConfig
from samuel_runtime.serve.worker.events import duration_of, reader_ended
from samuel_runtime.serve.worker.process import WorkerProcess


class ProcessInspector:
    """One recording at a time."""

    def __init__(self, longest_s: float, timeout_s: float) -> None:
        """Nothing runs before it is asked; ``timeout_s`` is how long one recording may take."""
        self._config, self._timeout_s = InspectConfig(longest_s=longest_s), timeout_s
        self._process: WorkerProcess | None = None
        self._one_at_a_time = asyncio.Lock()

    async def duration_s(self, voice: Path) -> float:
        """As the protocol says."""
        async with self._one_at_a_time:
            try:
                if self._process is None or not self._process.alive:
                    self._process = await WorkerProcess.start(self._config)
                    await self._process.receive(self._timeout_s)  # it is ready
                self._process.send(order=1, voice=str(voice))
                event = await self._process.receive(self._timeout_s)
            except WorkerDiedError as error:
                raise reader_ended(error) from error
            except asyncio.CancelledError:
                await self.close()  # or its answer would be taken for the next recording's
                raise
        return duration_of(event)

    async def close(self) -> None:
        """As the protocol says."""
        if self._process is not None:
            await self._process.end()
