"""libmpg123, inside libsndfile, prints what it thinks of a file to C's stderr; we say it better, in one line."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_LOCK = threading.Lock()
_readers = 0
_kept: int | None = None


@contextmanager
def without_decoder_chatter() -> Iterator[None]:
    """Send what C code prints by its variable ``stderr`` to nowhere; several threads may be in here at once.

    The file descriptor stays as it is, open or closed, so what Python and other libraries write to it is not lost.
    Where C has no such variable that may be set (Windows, musl), the decoder is heard.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _readers, _kept
    with _LOCK:
        _readers += 1
        streams = _streams()
        if _readers == 1 and streams:
            stderr, nowhere = streams
            _kept, stderr.value = stderr.value, nowhere


def _leave() -> None:
    global _readers
    with _LOCK:
        _readers -= 1
        streams = _streams()
        if _readers == 0 and streams:
            streams[0].value = _kept


@cache
def _streams() -> tuple[ctypes.c_void_p, int] | None:
    """C's variable ``stderr``, and a stream to nowhere, which stays open as some thread may hold it."""
    # In these two libraries it is documented, or declared, as a variable like any other; in musl it is a constant.
    name = {"linux": "stderr", "darwin": "__stderrp"}.get(sys.platform)
    if name is None or (sys.platform == "linux" and platform.libc_ver()[0] != "glibc"):
        return None
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    nowhere = library.fopen(os.fsencode(os.devnull), b"w")
    return (ctypes.c_void_p.in_dll(library, name), nowhere) if nowhere else None
