"""How many processors there are to share work among."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """Processors that this process may run on, at least 1: fewer than the machine's under taskset or in a job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
