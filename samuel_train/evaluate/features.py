"""Everything the metrics need of one recording, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_train.evaluate import spectra
from samuel_train.evaluate.metrics import sound
from samuel_train.evaluate.metrics.attacks import attack_times, mean_rise_db
from samuel_train.evaluate.metrics.beats import tempo_bpm, track_beats
from samuel_train.evaluate.metrics.cqt_chroma import cqt_chroma
from samuel_train.evaluate.metrics.fine_spectrum import fine_spectrum_db
from samuel_train.evaluate.metrics.frame_lines import FrameLines, frame_lines
from samuel_train.evaluate.metrics.keys import estimate_key
from samuel_train.evaluate.studies.patches import patches

FRAME_SAMPLES = 2048
"""Of a latent frame: where codecs of this project, and Stable Audio Open's, would buzz."""


@dataclass(frozen=True, eq=False)
class Features:
    """What the metrics need of one recording."""

    chroma: np.ndarray
    """(12, frames), see spectra.chroma."""
    key: str
    """Estimated, such as ``Eb minor``."""
    onsets: np.ndarray
    """(frames,), see spectra.onset_strength."""
    beats_s: np.ndarray
    """Tracked beats, (beats,) seconds."""
    tempo_bpm: float
    """Of the tracked beats; 0 if there are none."""
    patches: np.ndarray
    """(patches, 96), see evaluate/metrics/patches.py."""
    level_db: float
    """Gated RMS, dB of full scale, at least -70."""
    silence: float
    """Share of silent blocks."""
    clipping: float
    """Share of samples at full scale."""
    width: float
    """Share of the power in the side signal."""
    lines: FrameLines
    """Whether multiples of a codec's frame rate stand out."""
    cqt_chroma: np.ndarray
    """(12, seconds), librosa's."""
    fine_db: np.ndarray
    """(bins, frames) below 2 kHz, see metrics/fine_spectrum.py."""
    attacks_s: np.ndarray
    """Where something clearly begins, (attacks,) seconds."""
    rise_db: float
    """Of the energy there."""

    @classmethod
    def of(cls, samples: np.ndarray, sample_rate_hz: int) -> Features:
        """Analyse float32 (samples, channels)."""
        waveform = spectra.analysed(samples, sample_rate_hz)
        chroma = spectra.chroma(waveform)
        onsets = spectra.onset_strength(waveform)
        beats_s = track_beats(onsets)
        attacks_s = attack_times(samples, sample_rate_hz)
        return cls(
            chroma=chroma,
            key=estimate_key(chroma),
            onsets=onsets,
            beats_s=beats_s,
            tempo_bpm=tempo_bpm(beats_s),
            patches=patches(samples, sample_rate_hz),
            level_db=sound.level_db(samples, sample_rate_hz),
            silence=sound.silence_share(samples, sample_rate_hz),
            clipping=sound.clipping_share(samples),
            width=sound.side_share(samples),
            lines=frame_lines(samples, sample_rate_hz, FRAME_SAMPLES),
            cqt_chroma=cqt_chroma(samples, sample_rate_hz),
            fine_db=fine_spectrum_db(samples, sample_rate_hz).astype(np.float32),
            attacks_s=attacks_s,
            rise_db=mean_rise_db(samples, sample_rate_hz, attacks_s),
        )
