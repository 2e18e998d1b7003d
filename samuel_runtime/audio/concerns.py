"""What is odd about a voice and its band, in words."""

from __future__ import annotations

from collections.abc import Iterator

from samuel_runtime.audio.level import Level

_CANCELLATION_DB = 6.0  # no voice with its room in stereo comes near


def concerns(voice: Level, band: Level, path: str = "vocals.wav") -> Iterator[str]:
    """What is odd about a result: one line each, with what to do.

    Args:
        voice: as the encoder hears it.
        band: as the model made it.
        path: of the voice, as a shell takes it.
    """
    if band.silent and not voice.silent:
        yield "the band is silent; try another `seed` or a higher `guidance`"
    if voice.cancellation_db > _CANCELLATION_DB:
        yield (
            "the voice's channels are of opposite polarity and cancel each other when they are mixed; keep one of them "
            f'with `ffmpeg -i {path} -af "pan=mono|c0=c0" mono.wav`'
        )
    elif voice.silent:
        yield "the voice is silent, so there was nothing to follow; check the recording's level"
