"""Commands as a user has them: each in a process of its own, with its wall time and its peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

_TIMEOUT_S = 300
_PEAK_MARK = "peak kB:"

SAMUEL_RUN = "from samuel_runtime.cli.command import command; command.main(standalone_mode=False)"
"""`samuel-run`, as a script."""

# Not getrusage: its peak begins with that of the process that forked, and PyTorch's would hide everything.
_PRINT_PEAK = f"""
from pathlib import Path as _Path
_status = _Path("/proc/self/status")
_lines = _status.read_text().splitlines() if _status.exists() else []
print("{_PEAK_MARK}", next((line.split()[1] for line in _lines if line.startswith("VmHWM")), 0))
"""


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    seconds: float
    """From its start to its end, Python's own start included."""
    peak_mb: float
    """Its largest resident memory in 10^6 bytes; 0 where there is no /proc."""
    out: str
    """What it printed."""


def run_script(script: str, *arguments: str | Path) -> Finished:
    """Run a Python script to its end.

    Raises:
        RuntimeError: it failed; with what it printed on stderr.
    """
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script + _PRINT_PEAK, *map(str, arguments)],
        capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=environment,
    )  # fmt: skip
    seconds = perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"the process failed:\n{done.stderr}")
    out, _, peak = done.stdout.rpartition(_PEAK_MARK)
    return Finished(seconds, int(peak) * 1024 / 1e6, out)
