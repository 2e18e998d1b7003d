"""`samuel-serve` as others have it: a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PATIENCE_S = 600.0


class Server:
    """`samuel-serve` as a process that can be killed and comes back at the same port."""

    def __init__(self, data: Path, arguments: Sequence[str] = ()) -> None:
        """Start it; returns once it listens."""
        self._command = [sys.executable, "-m", "samuel_runtime.serve", "--data", str(data), *arguments]
        self._port = 0
        self.start()

    def start(self) -> None:
        """Start it again, at its port."""
        command = [*self._command, "--port", str(self._port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().partition("  ")[0].rstrip("/")
        if not self.url:
            raise RuntimeError("samuel-serve did not start; what it says is above")
        self._port = int(self.url.rpartition(":")[2])

    def end(self, number: int = signal.SIGKILL) -> int:
        """End it by a signal, at first as a power cut would, but for the disk's cache; returns its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def memory_mib(self) -> float:
        """Resident memory of the server and its workers; 0 where the system does not tell it."""
        pages = 0
        for pid in (self.process.pid, *children(self.process.pid)):
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20) if pages else 0.0


def children(pid: int) -> list[int]:
    """Processes that a process has started, as Linux tells; none elsewhere."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it ended meanwhile
        if int(parent) == pid:
            found.append(int(status.parent.name))
    return found
