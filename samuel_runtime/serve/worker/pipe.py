"""The worker's end: orders come in as JSON lines, events go out as such, and the worker ends when the server does.

To a worker that makes bands::

    {"order": 1, "voice": PATH, "into": PATH, "wanted": {...}}      a job
    {"cancel": 1}                                                    give it up

From it::

    {"event": "ready", "provider": NAME, "precision": NAME}          or {"event": "unready", "detail": SENTENCE}
    {"event": "progress", "take": 1, "stage": "sample", "done": 3, "total": 16}
    {"event": "heard", "lead_sheet": {...}}
    {"event": "take", "result": {...}}                               a take is written and synced by the server
    {"event": "done", "provider": NAME, "precision": NAME}           all are
    {"event": "refused", "detail": SENTENCES}                        the user can mend it
    {"event": "cancelled"}
    {"event": "defect"}                                              whose traceback is on stderr

To one that reads recordings, and from it::

    {"order": 1, "voice": PATH}
    {"event": "read", "duration_s": 12.5}                            or "refused" or "defect"
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO


class Pipe:
    """Standard input and output, which are nobody else's any more."""

    def __init__(self, orders: TextIO, events: TextIO) -> None:
        """Of two streams; a thread listens to the first until it ends, and the process with it."""
        self._events = events
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled = -1
        threading.Thread(target=self._listen, args=(orders,), daemon=True).start()

    @classmethod
    def take_over(cls) -> Pipe:
        """Of this process; what libraries print goes to stderr from now on."""
        orders, events = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(orders, events)

    def tell(self, **event: Any) -> None:
        """Send an event; if the server is gone, however that came, this process ends."""
        try:
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()
        except BrokenPipeError:
            os._exit(0)

    def orders(self) -> Iterator[dict[str, Any]]:
        """For ever: the process ends when no more can come."""
        while True:
            yield self._orders.get()

    def is_cancelled(self, order: int) -> bool:
        """Whether an order is to be given up."""
        return self._cancelled == order

    def _listen(self, orders: TextIO) -> None:
        for line in orders:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled = message["cancel"]
            else:
                self._orders.put(message)
        # The server is gone, however that came: nobody would take what this makes, and the next server makes it anew.
        os._exit(0)
