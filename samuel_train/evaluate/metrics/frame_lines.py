"""Does a decoder buzz? Energy on multiples of its frame rate, against the frequencies beside them.

A decoder whose phases repeat from frame to frame puts every partial on a multiple of its frame rate, 21.5 Hz for
frames of 2048 samples at 44.1 kHz. Mel bands are too wide to see that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WINDOW_SAMPLES = 1 << 16  # bins of 0.7 Hz, 32 of them from line to line
_HIGHEST_HZ = 8000.0
_PROMINENT_DB = 10.0
_SILENT = 1e-20
# In windows' bins from a line: its own, and the neighbours on either side that it is compared with.
_LINE_BINS, _NEIGHBOUR_BINS = 1, range(6, 15)


@dataclass(frozen=True)
class FrameLines:
    """How much the multiples of a frame rate stand out below 8 kHz."""

    excess_db: float
    """Median over the lines of their power over that of their neighbours, in dB; about 0.5 in music."""
    prominent_share: float
    """Share of lines more than 10 dB above their neighbours; 0 to 0.02 in music."""
    energy_share: float
    """Share of all power that lies on the lines; about 0.09 in music, which is their share of the frequencies."""


def frame_lines(samples: np.ndarray, sample_rate_hz: int, hop_samples: int) -> FrameLines:
    """Measure the lines at multiples of ``sample_rate_hz / hop_samples``.

    Args:
        samples: (samples, channels); what is shorter than 65536 samples is padded with silence.
        sample_rate_hz: of the samples.
        hop_samples: of the frames that are suspected.

    Raises:
        ValueError: if the lines lie too close together to be told from their neighbours.
    """
    line_hz = sample_rate_hz / hop_samples
    bin_hz = sample_rate_hz / _WINDOW_SAMPLES
    if line_hz < 2 * _NEIGHBOUR_BINS[-1] * bin_hz:
        raise ValueError(f"lines every {line_hz:.1f} Hz cannot be told apart; frames are too long")
    power = _mean_power(samples.mean(axis=1))
    lines = np.round(np.arange(1, int(_HIGHEST_HZ / line_hz)) * line_hz / bin_hz).astype(int)
    own = power[lines[:, None] + np.arange(-_LINE_BINS, _LINE_BINS + 1)]  # (lines, 3)
    beside = np.array([-offset for offset in _NEIGHBOUR_BINS] + list(_NEIGHBOUR_BINS))
    around = np.median(power[lines[:, None] + beside], axis=1)
    excess_db = 10 * np.log10((own.max(axis=1) + _SILENT) / (around + _SILENT))
    return FrameLines(
        excess_db=float(np.median(excess_db)),
        prominent_share=float(np.mean(excess_db > _PROMINENT_DB)),
        energy_share=float(own.sum() / (power.sum() + _SILENT)),
    )


def _mean_power(mono: np.ndarray) -> np.ndarray:
    """Welch's estimate with half-overlapping Hann windows, (bins,)."""
    window = np.hanning(_WINDOW_SAMPLES)
    mono = np.pad(mono, (0, max(0, _WINDOW_SAMPLES - len(mono))))
    starts = range(0, len(mono) - _WINDOW_SAMPLES + 1, _WINDOW_SAMPLES // 2)
    spectra = (np.fft.rfft(window * mono[start : start + _WINDOW_SAMPLES]) for start in starts)
    return np.asarray(sum(np.square(np.abs(spectrum)) for spectrum in spectra))
