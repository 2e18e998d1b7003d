"""Files of a job that is done: WAVs as the worker wrote them, other formats made of those when they are asked for."""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path

import soundfile

from samuel_runtime.audio.reading import BLOCK_SAMPLES, AudioFile
from samuel_runtime.audio.writing import write_audio
from samuel_runtime.files import replacing
from samuel_runtime.serve.jobs.protocols import JobStore
from samuel_runtime.serve.worker.rendering import VOICE_FILE, accompaniment_file, mix_file


class Part(str, Enum):
    """What can be heard of a job."""

    ACCOMPANIMENT = "accompaniment"
    MIX = "mix"
    VOICE = "voice"


class Format(str, Enum):
    """Suffixes of files."""

    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OGG = "ogg"

    @property
    def media_type(self) -> str:
        """For Content-Type."""
        return {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}[self.value]


class Downloads:
    """Finds files, and makes them where need be, one at a time: encoding is work that should not pile up."""

    def __init__(self, store: JobStore) -> None:
        """Of the store whose jobs they are."""
        self._store = store
        self._one_at_a_time = asyncio.Lock()

    async def file(self, job_id: str, part: Part, take: int, format: Format) -> Path:
        """Where a file lies, whole.

        Raises:
            FileNotFoundError: there is no such take, or the job was removed.
        """
        wav = await asyncio.to_thread(self._store.result_file, job_id, _wav(part, take))
        if format is Format.WAV:
            return wav
        encoded = self._store.encoded_file(job_id, f"{wav.stem}.{format.value}")
        async with self._one_at_a_time:
            if not encoded.exists():
                await asyncio.to_thread(_encode, wav, encoded)
        return encoded


def _wav(part: Part, take: int) -> str:
    if part is Part.VOICE:
        return VOICE_FILE
    return accompaniment_file(take) if part is Part.ACCOMPANIMENT else mix_file(take)


def _encode(wav: Path, target: Path) -> None:
    if not wav.exists():
        raise FileNotFoundError(wav)
    with replacing(target) as temporary:
        if target.suffix == ".flac":
            _to_flac(wav, temporary)
        else:
            recording = AudioFile.open(wav)
            write_audio(temporary, recording.blocks, recording.level.peak, recording.sample_rate_hz)


def _to_flac(wav: Path, flac: Path) -> None:
    """The very samples: as integers, since floats are scaled by 2^23 when read and by 2^23 - 1 when written."""
    with soundfile.SoundFile(wav) as source:
        rate_hz, channels = source.samplerate, source.channels
        with soundfile.SoundFile(flac, "w", rate_hz, channels, "PCM_24", format="FLAC") as file:
            for block in source.blocks(BLOCK_SAMPLES, dtype="int32"):
                file.write(block)
