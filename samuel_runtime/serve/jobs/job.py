"""A job as the server knows it while it runs: state, progress, what came of it; lives in the event loop alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from enum import Enum
from time import monotonic
from typing import Any

from pydantic import BaseModel, ConfigDict

from samuel_runtime.leadsheet.chords import symbol
from samuel_runtime.leadsheet.files.json_format import from_dict
from samuel_runtime.leadsheet.text import line_of
from samuel_runtime.serve.jobs.request import Request

STAGES = ("encode", "sample", "decode", "write")
"""Of a take, in their order; a voice is encoded once for all its takes."""


class State(str, Enum):
    """Where a job is; :mod:`samuel_runtime.serve.jobs.store` says which of them are on disk, and as what."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self in (State.DONE, State.FAILED)


class Take(BaseModel):
    """One band that was made."""

    model_config = ConfigDict(frozen=True)

    take: int
    """From 1."""
    seed: int
    guidance: float
    """The scale that it was guided with."""
    band_gain_db: float
    """What the band is turned up by where it is mixed with the voice."""
    warnings: tuple[str, ...]
    """What a user may want to act on."""
    seconds: dict[str, float]
    """Wall time by stage; without "encode" for all takes but the first."""


class Result(BaseModel):
    """What came of a job: the rest are files beside it."""

    model_config = ConfigDict(frozen=True)

    ended_s: float
    """When, in seconds since 1970."""
    provider: str
    precision: str
    lead_sheet: dict[str, Any] | None
    """What the bands were played from; None if nothing was known."""
    takes: tuple[Take, ...]


class Failure(BaseModel):
    """Why nothing came of a job."""

    model_config = ConfigDict(frozen=True)

    ended_s: float
    """When, in seconds since 1970."""
    detail: str
    """A sentence, as the command says it."""
    by_user: bool
    """Whether the user can mend it; else it is the server's fault."""


@dataclass
class Job:
    """Changed by the queue only, which calls :meth:`change`; read by everybody."""

    request: Request
    result: Result | None = None
    failure: Failure | None = None
    starts: int = 0
    """How often it was begun, restarts of the server counted."""
    crashes: int = 0
    """How many workers died of it."""
    running: bool = False
    removed: bool = False
    take: int = 1
    """The one that is being made."""
    stage: str = STAGES[0]
    """Of that take."""
    done: int = 0
    """Pieces of the stage."""
    total: int = 0
    """As ``done``; 0 before the first."""
    stage_began_s: float = field(default_factory=monotonic)
    lead_sheet: dict[str, Any] | None = None
    """As soon as it was heard."""
    lead_sheet_line: str = ""
    """The same, to be read."""
    chord_symbols: tuple[str, ...] = ()
    """Its chords' names as musicians write them."""
    takes: list[Take] = field(default_factory=list)
    """Those that are made."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        """Of the request."""
        return self.request.id

    @property
    def state(self) -> State:
        """Follows from the other fields."""
        if self.result is not None:
            return State.DONE
        if self.failure is not None:
            return State.FAILED
        return State.RUNNING if self.running else State.WAITING

    @property
    def ended_s(self) -> float | None:
        """When it ended, in seconds since 1970."""
        ended = self.result or self.failure
        return None if ended is None else ended.ended_s

    def begin(self) -> None:
        """It runs from its beginning."""
        self.running, self.takes = True, []
        self.hear(None)
        self.reach(1, STAGES[0], 0, 0)

    def reach(self, take: int, stage: str, done: int, total: int) -> None:
        """Note how far it is."""
        if (take, stage) != (self.take, self.stage) or total == 0:
            self.stage_began_s = monotonic()
        self.take, self.stage, self.done, self.total = take, stage, done, total
        self.change()

    def hear(self, lead_sheet: dict[str, Any] | None) -> None:
        """Note what the bands are played from."""
        self.lead_sheet = lead_sheet
        sheet = None if lead_sheet is None else from_dict(lead_sheet)
        self.lead_sheet_line = "" if sheet is None else line_of(sheet)
        self.chord_symbols = () if sheet is None else tuple(symbol(chord.name) for chord in sheet.chords)
        self.change()

    def change(self) -> None:
        """Wake all who watch."""
        self._changed.set()
        self._changed = asyncio.Event()

    def changed(self, timeout_s: float) -> Awaitable[bool]:
        """Whether it changes after this call, within the time; what happens before the first await counts too."""
        event = self._changed

        async def wait() -> bool:
            try:
                return await asyncio.wait_for(event.wait(), timeout_s)
            except (TimeoutError, asyncio.TimeoutError):  # two classes until Python 3.11
                return False

        return wait()
