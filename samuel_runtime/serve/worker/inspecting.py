"""The reading of a recording before anything is promised: whether it is whole, and how long it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.errors import UserError
from samuel_runtime.serve.worker.config import InspectConfig
from samuel_runtime.serve.worker.outcomes import NAME, outcome
from samuel_runtime.serve.worker.pipe import Pipe


def inspect(voice: Path, longest_s: float) -> dict[str, Any]:
    """Read a recording to its end; the event that tells of it."""

    def read() -> dict[str, Any]:
        recording = AudioFile.open(voice, longest_s)
        return {"event": "read", "duration_s": recording.samples_count / recording.sample_rate_hz}

    return outcome(read, voice)


def duration_of(event: dict[str, Any]) -> float:
    """Seconds, of a recording that was read.

    Raises:
        UserError: it is not in order.
    """
    if event["event"] == "read":
        return float(event["duration_s"])
    if event["event"] == "refused":
        raise UserError(*event["detail"].split("\n"))
    raise UserError(f"{NAME}: cannot be read as audio, by a fault of samuel's; the server's log says more")


def reader_ended(how: object) -> UserError:
    """What is said of a recording whose reader did not survive it."""
    return UserError(
        f"{NAME}: reading it ended with its reader ({how}); convert it with `ffmpeg -i {NAME} vocals.wav` and send that"
    )


def work(config: InspectConfig, pipe: Pipe) -> None:
    """In a process of its own: read what is ordered, for ever."""
    pipe.tell(event="ready")
    for order in pipe.orders():
        pipe.tell(**inspect(Path(order["voice"]), config.longest_s))
