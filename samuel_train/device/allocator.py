"""Memory that stays with the process: on glibc, training on a CPU spends most of its time getting it back."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # malloc.h
_PAD_BYTES = 256 << 20
_NEVER = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Let malloc keep what is freed, for the rest of the process.

    PyTorch's CPU allocator frees every activation. glibc hands blocks of that size straight back to the kernel,
    which must clear each page again at the next step. Where there is no glibc, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD_BYTES)):
        mallopt(parameter, value)
