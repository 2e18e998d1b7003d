"""Short recordings for the listening page, compressed as soon as they are made, so that none has to be kept whole."""

from __future__ import annotations

import io
from enum import Enum
from pathlib import Path

import numpy as np
import soundfile
import soxr

from samuel_runtime.audio.level import Meter
from samuel_runtime.audio.reading import BLOCK_SAMPLES
from samuel_runtime.audio.writing import gain_under, peak_of, safe_gain
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.evaluation import EvaluatedAudio
from samuel_train.evaluate.excerpt import loudest_start
from samuel_train.evaluate.report.rows import Kind

MOST_SONGS = 20
LONGEST_S = 30.0
KBIT_PER_S = 96
"""Constant, so that a page's size is known beforehand: five clips of 30 s for 20 songs are 36 MB, 48 MB as text."""

_RATES_HZ = (32_000, 44_100, 48_000)  # of MPEG-1, whose bit rates libsndfile's compression levels 0 .. 1 are:
_MOST_KBIT_PER_S, _LEAST_KBIT_PER_S = 320, 32
_RATE_HZ = 44_100
"""Where the codec has none of these rates."""


class Part(str, Enum):
    """What can be played of a song; the value is its heading."""

    VOICE = "voice"
    BAND = "band"
    MIX = "mix"
    TRUTH = "true band"
    CODEC = "true band through the codec"


_PARTS = {Kind.VOICE: Part.VOICE, Kind.TRUTH: Part.TRUTH, Kind.CODEC: Part.CODEC, Kind.CASE: Part.BAND}


class Clips:
    """Called with an evaluation's recordings, keeps the 30 s of every song in which the voice is loudest, as MP3."""

    def __init__(self, case: Case, sample_rate_hz: int) -> None:
        """Keep the bands of one case, of the first songs."""
        self.case = case
        self.songs: list[dict[Part, bytes]] = []
        """The clips of every song."""
        self._rate_hz = sample_rate_hz
        self._starts: list[int] = []
        self._voices: list[np.ndarray] = []  # float16: for the mixes

    def __call__(self, audio: EvaluatedAudio) -> None:
        """Take a recording; voices come first and in order."""
        if audio.song >= MOST_SONGS or audio.kind not in _PARTS or audio.case not in (None, self.case):
            return
        length = round(LONGEST_S * self._rate_hz)
        if audio.kind is Kind.VOICE:
            self._starts.append(loudest_start(audio.samples, length))
            self.songs.append({})
        start = self._starts[audio.song]
        stretch = audio.samples[start : start + length]
        clips = self.songs[audio.song]
        clips[_PARTS[audio.kind]] = mp3(stretch, self._rate_hz)
        if audio.kind is Kind.VOICE:
            self._voices.append(stretch.astype(np.float16))
        elif audio.kind is Kind.CASE:
            clips[Part.MIX] = mp3(self._mixed(self._voices[audio.song], stretch), self._rate_hz)

    def _mixed(self, voice: np.ndarray, band: np.ndarray) -> np.ndarray:
        voice = voice.astype(np.float32)
        levels = []
        for stem in (voice, band):
            meter = Meter(self._rate_hz)
            meter.add(stem)
            levels.append(meter.level())
        return voice + np.float32(gain_under(*levels)) * band


def mp3(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """(samples, channels) as MP3 at 96 kbit/s, which every browser plays; turned down if it would clip."""
    if samples.shape[1] > 2:
        samples = samples.mean(axis=1, keepdims=True)
    if sample_rate_hz not in _RATES_HZ:
        samples, sample_rate_hz = soxr.resample(samples, sample_rate_hz, _RATE_HZ), _RATE_HZ
    gain = np.float32(safe_gain(peak_of(iter([samples])), Path("clip.mp3")))
    level = (_MOST_KBIT_PER_S - KBIT_PER_S) / (_MOST_KBIT_PER_S - _LEAST_KBIT_PER_S)
    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        sample_rate_hz,
        samples.shape[1],
        "MPEG_LAYER_III",
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=level,
    ) as stream:
        for start in range(0, len(samples), BLOCK_SAMPLES):
            stream.write(gain * samples[start : start + BLOCK_SAMPLES])
    return file.getvalue()
