"""The voice of an excerpt, before it is recorded: words, hums or whistles, and the breaths between phrases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samuel_train.synth.compose.phrasing import Performed, control_times_s, fundamental_hz, loudness_curve
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, band_noise, from_db, rms
from samuel_train.synth.voice.phone_bank import load_bank
from samuel_train.synth.voice.singer import Performance, Singer
from samuel_train.synth.voice.vocoder import sing_words
from samuel_train.synth.voice.whistle import octaves_up, whistle


def sing(rng: np.random.Generator, notes: Sequence[Performed], singer: Singer, samples: int) -> np.ndarray:
    """The dry voice, (samples,) float32, unit RMS while it sounds; silence without notes.

    Raises:
        UserError: the speaker's sounds cannot be made.
    """
    voice = np.zeros(samples, dtype=np.float32)
    if not notes:
        return voice
    times_s = control_times_s(notes, samples / SAMPLE_RATE_HZ)
    f0_hz = fundamental_hz(rng, notes, singer, times_s)
    loudness = loudness_curve(notes, times_s)
    if singer.performance is Performance.WHISTLE:
        sung = whistle(rng, f0_hz * 2 ** octaves_up(f0_hz), loudness, singer.breath)
    else:
        sung = sing_words(rng, notes, singer, load_bank(singer.speaker), times_s, f0_hz, loudness)
    skipped = round(-times_s[0] * SAMPLE_RATE_HZ)
    excerpt = sung[skipped : skipped + samples]
    voice[: len(excerpt)] = excerpt
    power = voice**2
    voice /= np.float32(max(rms(voice[power > 0.01 * power.mean()]), 1e-9))
    _add_breaths(rng, notes, voice)
    return voice


def _add_breaths(rng: np.random.Generator, notes: Sequence[Performed], voice: np.ndarray) -> None:
    silent_since_s = -1.0
    for note in notes:
        gap_s = note.onset_s - silent_since_s
        silent_since_s = note.end_s
        if gap_s < 0.35 or rng.random() < 0.15:
            continue
        length_s = min(gap_s - 0.2, float(rng.uniform(0.2, 0.42)))
        samples = round(length_s * SAMPLE_RATE_HZ)
        rise = np.linspace(0, 1, samples, dtype=np.float32)
        noise = band_noise(rng, samples, float(rng.uniform(1500, 2600)), 0.9)
        envelope = np.sin(np.pi * rise**1.4).clip(0, 1) ** 1.5
        start = round((note.onset_s - 0.16 - length_s) * SAMPLE_RATE_HZ)
        first, last = max(start, 0), min(start + samples, len(voice))
        if first < last:
            level = np.float32(from_db(float(rng.uniform(-34, -22))))
            voice[first:last] += level * (noise * envelope)[first - start : last - start]
