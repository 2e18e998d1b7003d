"""How many processors this process may use: fewer than there are, where it is bound to some or has a quota."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath


def usable(root: Path = Path("/")) -> int:
    """Processors that the process is bound to, or as many as its quota pays for.

    Args:
        root: of the file system, in which Linux says what the quota is.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([bound, *map(ceil, _quotas(root))])


def threads_for(asked: int | None) -> int | None:
    """Threads for an engine: never more than :func:`usable`, since they spin while they wait for each other.

    None leaves it to the engine: one per physical core that the process is bound to. Engines know of no quotas, so
    where one is so small that this would be too many, it decides.
    """
    most = usable()
    if asked is not None:
        return min(asked, most)
    return most if 2 * most <= (os.cpu_count() or 1) else None


def _quotas(root: Path) -> Iterator[float]:
    """Of the control groups that the process is in, in processors: version 2 and version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for above in (PurePosixPath(group), *PurePosixPath(group).parents):
            folder = root / "sys/fs/cgroup" / ("cpu" if controllers else "") / str(above).lstrip("/")
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
            try:
                quota, period = (part for name in names for part in (folder / name).read_text().split())
                if float(quota) > 0 and float(period) > 0:
                    yield float(quota) / float(period)
            except (OSError, ValueError):  # no such group is to be seen from here; "max" is no quota
                continue
