"""Reads recordings in a process of its own, before they are accepted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from samuel_runtime.errors import UserError
from samuel_runtime.serve.jobs.protocols import WorkerDiedError
from samuel_runtime.serve.worker.config import InspectConfig
from samuel_runtime.serve.worker.outcomes import NAME
from samuel_runtime.serve.worker.process import WorkerProcess


class Inspector:
    """One recording at a time."""

    def __init__(self, longest_s: float, timeout_s: float) -> None:
        """Nothing runs before it is asked; ``timeout_s`` is how long one recording may take."""
        self._config, self._timeout_s = InspectConfig(longest_s=longest_s), timeout_s
        self._process: WorkerProcess | None = None
        self._one_at_a_time = asyncio.Lock()

    async def duration_s(self, voice: Path) -> float:
        """How long a recording is, once it was read to its end.

        Raises:
            UserError: it is not in order, too long, or more than the reader survives.
        """
        async with self._one_at_a_time:
            try:
                if self._process is None or not self._process.alive:
                    self._process = await WorkerProcess.start(self._config)
                    await self._process.receive(self._timeout_s)  # it is ready
                self._process.send(order=1, voice=str(voice))
                event = await self._process.receive(self._timeout_s)
            except WorkerDiedError as error:
                raise UserError(
                    f"{NAME}: reading it ended with its reader ({error}); convert it with "
                    f"`ffmpeg -i {NAME} vocals.wav` and send that"
                ) from error
            except asyncio.CancelledError:
                await self.close()  # or its answer would be taken for the next recording's
                raise
        if event["event"] == "read":
            return float(event["duration_s"])
        if event["event"] == "refused":
            raise UserError(*event["detail"].split("\n"))
        raise UserError(f"{NAME}: cannot be read as audio, by a fault of samuel's; the server's log says more")

    async def close(self) -> None:
        """End its process."""
        if self._process is not None:
            await self._process.end()
