"""What the musical metrics hear: short Fourier transforms at 22.05 kHz, of the channels' mean power.

Channels are not added up first: what is out of phase between them sounds on loudspeakers, but would cancel in a sum.
"""

from __future__ import annotations

import librosa
import numpy as np
import soxr

ANALYSIS_RATE_HZ = 22_050
HOP_SAMPLES = 512
FRAME_S = HOP_SAMPLES / ANALYSIS_RATE_HZ
"""From one frame to the next; frame i is centred on i * FRAME_S."""

_CHROMA_WINDOW = 4096  # 5.4 Hz a bin, which parts the semitones of a bass from 90 Hz up
_ONSET_WINDOW = 2048


def analysed(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(samples, channels) at the analysis rate, float32 (channels, samples)."""
    resampled = soxr.resample(samples, sample_rate_hz, ANALYSIS_RATE_HZ)
    return np.ascontiguousarray(resampled.T, dtype=np.float32)


def magnitude(waveform: np.ndarray, window_samples: int, hop_samples: int) -> np.ndarray:
    """Root of the channels' mean power, (bins, frames), of (channels, samples); Hann window, centred frames."""
    power = sum(
        np.abs(librosa.stft(channel, n_fft=window_samples, hop_length=hop_samples)) ** 2 for channel in waveform
    )
    return np.asarray(np.sqrt(power / len(waveform)))


def chroma(waveform: np.ndarray) -> np.ndarray:
    """How much of each pitch class sounds in each frame, (12, frames), C first; the louder, the larger.

    Of magnitudes, not of power, so that the bass does not outweigh everything; tuned to A = 440 Hz.

    Args:
        waveform: of :func:`analysed`.
    """
    spectrum = magnitude(waveform, _CHROMA_WINDOW, HOP_SAMPLES)
    return np.asarray(librosa.feature.chroma_stft(S=spectrum, sr=ANALYSIS_RATE_HZ, tuning=0.0, norm=None))


def onset_strength(waveform: np.ndarray) -> np.ndarray:
    """How much begins in each frame, (frames,): the rise of the mel spectrum in decibels.

    Args:
        waveform: of :func:`analysed`.
    """
    power = magnitude(waveform, _ONSET_WINDOW, HOP_SAMPLES) ** 2
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=ANALYSIS_RATE_HZ))
    return np.asarray(librosa.onset.onset_strength(S=mel_db, sr=ANALYSIS_RATE_HZ, hop_length=HOP_SAMPLES))
