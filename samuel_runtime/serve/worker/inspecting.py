"""The worker that reads recordings: whether they are whole and how long they are, before anything is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.serve.worker.config import InspectConfig
from samuel_runtime.serve.worker.outcomes import outcome
from samuel_runtime.serve.worker.pipe import Pipe


def work(config: InspectConfig, pipe: Pipe) -> None:
    """Read what is ordered, for ever."""
    pipe.tell(event="ready")
    for order in pipe.orders():
        voice = Path(order["voice"])

        def read(voice: Path = voice) -> dict[str, Any]:
            recording = AudioFile.open(voice, config.longest_s)
            return {"event": "read", "duration_s": recording.samples_count / recording.sample_rate_hz}

        pipe.tell(**outcome(read, voice))
