"""The worker that reads recordings: whether they are whole and how long they are, before anything is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.serve.worker.config import InspectConfig
from samuel_runtime.serve.worker.outcomes import outcome
from samuel_runtime.serve.worker.pipe import Pipe


def inspect(voice: Path, longest_s: float) -> dict[str, Any]:
    """Read a recording to its end; the event that tells of it."""

    def read() -> dict[str, Any]:
        recording = AudioFile.open(voice, longest_s)
        return {"event": "read", "duration_s": recording.samples_count / recording.sample_rate_hz}

    return outcome(read, voice)


def work(config: InspectConfig, pipe: Pipe) -> None:
    """In a process of its own: read what is ordered, for ever."""
    pipe.tell(event="ready")
    for order in pipe.orders():
        pipe.tell(**inspect(Path(order["voice"]), config.longest_s))
