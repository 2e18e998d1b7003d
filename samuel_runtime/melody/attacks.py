"""How loud a voice is and where its sounds begin, from the sound itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samuel_runtime.audio.level import gain_from_db
from samuel_runtime.audio.mel import HOP_SAMPLES, WINDOW_SAMPLES, mel_filters
from samuel_runtime.audio.reading import Recording, resampled
from samuel_runtime.codec.chunks import SlidingReader, chunks

RATE_HZ = 44_100
SILENCE_DB = -100.0
"""Below this nothing is told apart."""
_BLOCK_FRAMES = 128  # whose spectra stay in the cache
_BEFORE_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2  # so that a window is centred on its frame
_COMPRESSION = 30.0  # of magnitudes relative to the recording's level: what is 30 dB below it still counts a little
_LAG_FRAMES = 2  # a difference over 23 ms; windows of neighbouring frames overlap by three quarters
_LOUD = 1.0 / 0.6
"""Brings the flux at the attacks of syllables to about 1, see samuel_train/listen/singer.py, which imitates it."""


def loudness_and_onsets(recording: Recording, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """RMS in dB of full scale, and spectral flux, float64 (frames,) each, in memory that does not grow with the sound.

    The flux is the mean rise over mel bands of log(1 + 30 magnitude), where magnitudes are relative to the recording's
    level: so a recording that is turned down has the same (Böck and Widmer, 2013, without their maximum filter, which
    is there for vibrato that a mel band does not see).
    """
    level_db = recording.level.rms_db
    if not np.isfinite(level_db):  # silence
        return np.full(frames, SILENCE_DB), np.zeros(frames)
    window = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    filters = (mel_filters(RATE_HZ) / mel_filters(RATE_HZ).sum(axis=1, keepdims=True)).astype(np.float32).T
    scale = _COMPRESSION / (gain_from_db(level_db) * float(np.sqrt(np.square(window).sum())))
    blocks = (block.T for block in resampled(recording, RATE_HZ, 1))
    reader = SlidingReader(_padded(blocks), (1,))
    loudness, bands = [], []
    for chunk in chunks(frames, _BLOCK_FRAMES, 0):
        start, stop = chunk.start * HOP_SAMPLES, (chunk.stop - 1) * HOP_SAMPLES + WINDOW_SAMPLES
        samples = reader.read(start, stop)[0]
        views = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]  # (frames, window)
        loudness.append(np.sqrt(np.mean(np.square(views), axis=1)))
        bands.append(np.log1p(scale * (np.abs(np.fft.rfft(views * window)) @ filters)))
    rms = np.concatenate(loudness)
    log_bands = np.concatenate(bands)
    flux = np.zeros(frames)
    flux[_LAG_FRAMES:] = np.maximum(log_bands[_LAG_FRAMES:] - log_bands[:-_LAG_FRAMES], 0).mean(axis=1)
    return np.maximum(20 * np.log10(np.maximum(rms, 1e-10)), SILENCE_DB), _LOUD * flux


def _padded(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Silence before the recording, (1, samples), then the recording."""
    yield np.zeros((1, _BEFORE_SAMPLES), np.float32)
    yield from blocks
