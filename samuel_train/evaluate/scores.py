"""The numbers of one recording against the truth of one song, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_train.evaluate.features import Features
from samuel_train.evaluate.metrics.beats import beat_score, tempo_agrees
from samuel_train.evaluate.metrics.cqt_chroma import chroma_correlation
from samuel_train.evaluate.metrics.harmony import chord_chroma, correlation, pooled, spans
from samuel_train.evaluate.metrics.keys import key_score, signature_agrees
from samuel_train.evaluate.metrics.onsets import onset_agreement
from samuel_train.evaluate.songs import key_name
from samuel_train.synth.facts import SongFacts


@dataclass(frozen=True)
class Metric:
    """One column of the results."""

    name: str
    """Its key in the JSON file and heading in the table."""
    meaning: str
    """What is measured, in which unit, and which values are good."""


SOUND = Metric("sound", "Fréchet distance of log-mel patches to the true bands', over all songs; 0 is the best")
METRICS = (
    Metric("key", "key against the true key: 1 same, 0.5 a fifth above, 0.3 relative, 0.2 parallel, else 0"),
    Metric("tones", "share of songs in the true key or its relative, which have the same tones"),
    Metric("harmony", "correlation of chroma with the true band's, per half bar; 1 is the best, 0 is chance"),
    Metric("chords", "correlation of chroma with the true chords, per half bar; 0 is chance"),
    Metric("beat", "F-measure of the tracked beats against the true ones, within 70 ms; 1 is the best"),
    Metric("tempo", "share of songs whose tempo is within 4 % of the true one, its half or its double"),
    Metric("onsets", "correlation of the band's onset strength with the voice's, no lag; 0 is chance"),
    Metric("level", "loudness against the true band's, dB; 0 is the best"),
    Metric("silence", "share of blocks of 50 ms below -60 dB of full scale"),
    Metric("clipping", "share of samples at full scale"),
    Metric("width", "share of the power in the side signal: 0 mono, 0.5 independent channels"),
    Metric("lines", "power on multiples of the codec's frame rate over that beside them, median, dB; music has 0.5"),
    Metric("buzz", "share of those multiples more than 10 dB above what is beside them; music has 0 to 0.02"),
    Metric("cqt", "correlation of librosa's CQT chroma with the true band's, by the second; 1 is the best"),
    Metric("fine", "difference of log spectra of 186 ms below 2 kHz from the true band's, dB; 0 is the best"),
    Metric("attack", "rise of the energy at onsets against the true band's at its own, dB; 0 is the best"),
)
"""What is measured song by song; sound is one number for all songs."""


Scores = dict[str, float]
"""Name of a metric -> value of one recording for one song; without ``chords`` where none are written."""


class Truth:
    """What a song really is: as written where it is, else as estimated from its true band."""

    def __init__(self, band: Features, facts: SongFacts | None, duration_s: float, voice_onsets: np.ndarray) -> None:
        """Take the true band's features, the facts if any are written, the duration, and the voice's onset strength."""
        self.band = band
        self._voice_onsets = voice_onsets
        beats_s = None if facts is None or not facts.beats_s else np.array(facts.beats_s)
        half_bars_s = None if facts is None or not facts.beats_s else np.array(facts.half_bars_s)
        self._bounds_s = spans(duration_s, half_bars_s)
        self._harmony = pooled(band.chroma, self._bounds_s)
        self._chords = None if facts is None or not facts.chords else chord_chroma(facts.chords, self._bounds_s)
        self._key = band.key if facts is None else key_name(facts)
        self.beats_s = band.beats_s if beats_s is None else beats_s
        self.tempo_bpm = band.tempo_bpm if facts is None else facts.tempo_bpm

    def judge(self, features: Features) -> Scores:
        """The scores of a recording that should be this song's band."""
        harmony = pooled(features.chroma, self._bounds_s)
        scores = {
            "key": key_score(self._key, features.key),
            "tones": float(signature_agrees(self._key, features.key)),
            "harmony": correlation(self._harmony, harmony),
            "beat": beat_score(self.beats_s, features.beats_s),
            "tempo": float(tempo_agrees(self.tempo_bpm, features.tempo_bpm)),
            "onsets": onset_agreement(self._voice_onsets, features.onsets),
            "level": features.level_db - self.band.level_db,
            "silence": features.silence,
            "clipping": features.clipping,
            "width": features.width,
            "lines": features.lines.excess_db,
            "buzz": features.lines.prominent_share,
            "cqt": _or_zero(chroma_correlation(features.cqt_chroma, self.band.cqt_chroma)),
            "fine": _mean_difference(features.fine_db, self.band.fine_db),
            "attack": features.rise_db - self.band.rise_db,
        }
        if self._chords is not None:
            scores["chords"] = correlation(self._chords, harmony)
        return scores


def _or_zero(value: float) -> float:
    """What is not known of silence, as chance."""
    return value if np.isfinite(value) else 0.0


def _mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of (bins, frames), of as many frames as both have."""
    frames = min(one.shape[1], other.shape[1])
    return float(np.abs(one[:, :frames] - other[:, :frames]).mean())
