"""The server's end of a worker: a process that is started, spoken with in JSON lines, and ended."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

from samuel_runtime.serve.jobs.protocols import WorkerDiedError
from samuel_runtime.serve.worker.config import WorkerConfig

_LONGEST_LINE_BYTES = 64 << 20  # a lead sheet of the largest kind


class WorkerProcess:
    """A running worker."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Of :meth:`start`."""
        self._process = process

    @classmethod
    async def start(cls, config: WorkerConfig) -> WorkerProcess:
        """Start a fresh interpreter: nothing of the server is in it, neither sockets nor locks."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "samuel_runtime.serve.worker",
            config.model_dump_json(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for the server, whose end it follows
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.returncode is None

    def send(self, **message: Any) -> None:
        """Send an order; one to a process that is gone is lost, which :meth:`receive` tells."""
        assert self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.write((json.dumps(message) + "\n").encode())

    async def receive(self, timeout_s: float) -> dict[str, Any]:
        """The next event.

        Raises:
            WorkerDiedError: the process is gone, or silent for too long; then it is ended.
        """
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
            if line.endswith(b"\n"):
                event: dict[str, Any] = json.loads(line)
                return event
        except (TimeoutError, asyncio.TimeoutError):
            await self.end()
            raise WorkerDiedError(f"it gave no sign for {timeout_s:.0f} s") from None
        except ValueError:  # a line that is too long, or none of ours
            pass
        await self.end()
        code = self._process.returncode or 0
        raise WorkerDiedError(f"killed by signal {-code}" if code < 0 else f"ended with code {code}")

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._process.stdout is not None and self._process.stdout.at_eof():
            # It closed its pipe, so it is on its way out; how it ended is worth knowing.
            with suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
        self.kill()
        await self._process.wait()
