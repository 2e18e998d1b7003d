"""Every measure sees the fault that it is there for, and none where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from samuel_train.evaluate.metrics import pitch
from samuel_train.evaluate.metrics.attacks import attack_loss_db, attack_times
from samuel_train.evaluate.metrics.bass_line import bass_notes_right
from samuel_train.evaluate.metrics.cqt_chroma import cqt_chroma, cqt_chroma_correlation
from samuel_train.evaluate.metrics.fine_spectrum import log_spectral_distance_db
from samuel_train.evaluate.metrics.frame_lines import frame_lines
from samuel_train.evaluate.metrics.pitch import PitchScore, pitch_scores
from samuel_train.evaluate.references import through_mp3, through_opus
from samuel_train.synth.compose.score import Hit
from samuel_train.synth.tones import Note, chord_over, drums_alone, over_a_bass
from tests.support.train.broken_codecs import (
    HOP,
    RATE_HZ,
    with_constant_phases,
    with_rounded_pitch,
    with_smeared_magnitudes,
    with_smeared_time,
)


@pytest.fixture(scope="module")
def band() -> np.ndarray:
    """Six bars of chords over a bass with drums, off the scale."""
    rng = np.random.default_rng(3)
    basses = [Note(float(i), 1.0, midi + 0.3) for i, midi in enumerate([33, 38, 40, 45, 36, 43])]
    return over_a_bass(rng, basses, [chord_over(rng, bass, 3 + i % 3) for i, bass in enumerate(basses)], RATE_HZ)


def test_constant_phases_buzz(band: np.ndarray) -> None:
    clean, buzzing = (frame_lines(each, RATE_HZ, HOP) for each in (band, with_constant_phases(band)))
    assert clean.excess_db < 2 and clean.prominent_share < 0.1
    assert buzzing.excess_db > 10 and buzzing.prominent_share > 0.5
    assert buzzing.energy_share > 3 * clean.energy_share


def test_lines_are_looked_for_at_the_frame_rate_that_is_asked_about(band: np.ndarray) -> None:
    buzzing = with_constant_phases(band)
    assert frame_lines(buzzing, RATE_HZ, 1900).excess_db < 3
    with pytest.raises(ValueError, match="cannot be told apart"):
        frame_lines(buzzing, RATE_HZ, 4096)


def test_silence_has_no_lines() -> None:
    assert frame_lines(np.zeros((1000, 2)), RATE_HZ, HOP).excess_db == 0


@pytest.fixture(scope="module", autouse=True)
def _fewer_tones() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pitch, "_MIDI", range(28, 85, 2))
        patch.setattr(pitch, "_TONES_EACH", 1)
        patch.setattr(pitch, "_BASSES", 12)
        yield


@pytest.fixture(scope="module")
def rounded() -> list[PitchScore]:
    return pitch_scores(with_rounded_pitch, RATE_HZ)


@pytest.fixture(scope="module")
def untouched() -> list[PitchScore]:
    return pitch_scores(lambda samples: samples, RATE_HZ)


def test_tones_that_nothing_was_done_to_are_right(untouched: list[PitchScore]) -> None:
    for score in untouched:
        # In chords a bass's overtone may lie beside a tone and be louder.
        assert score.right == 1.0 or (score.scene == "chords over a bass" and score.right > 0.7), score
        assert score.right_by_yin in (None, 1.0)
        assert score.median_cents < 3


def test_pitch_rounded_to_the_frame_rate_is_seen_where_it_is_heard(rounded: list[PitchScore]) -> None:
    basses = [score for score in rounded if score.highest_midi < 48 and score.scene != "chords over a bass"]
    assert len(basses) == 6
    for score in basses:
        assert score.right < 0.5 and score.median_cents > 30, score
    high = [score for score in rounded if score.lowest_midi >= 60 and score.right_by_yin is not None]
    assert all(score.median_cents < 35 for score in high)


def test_harmony_of_a_constant_q_transform_hears_a_bass_out_of_tune(band: np.ndarray) -> None:
    assert cqt_chroma_correlation(band, band, RATE_HZ) == pytest.approx(1.0)
    assert cqt_chroma_correlation(with_rounded_pitch(band), band, RATE_HZ) < 0.8
    assert cqt_chroma_correlation(through_mp3(band, RATE_HZ), band, RATE_HZ) > 0.9


def test_chroma_has_a_tone_in_its_pitch_class() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
    assert (cqt_chroma(np.stack([tone, tone], axis=1), RATE_HZ).argmax(axis=0) == 9).all()


def test_harmony_of_silence_is_unknown() -> None:
    silence = np.zeros((2 * RATE_HZ, 2), np.float32)
    assert math.isnan(cqt_chroma_correlation(silence, silence, RATE_HZ))
    assert math.isnan(cqt_chroma_correlation(silence[:100], silence[:100], RATE_HZ))


def test_smeared_magnitudes_are_seen_in_fine_spectra(band: np.ndarray) -> None:
    assert log_spectral_distance_db(band, band, RATE_HZ) == 0
    assert log_spectral_distance_db(with_smeared_magnitudes(band), band, RATE_HZ) > 1.5


def test_smeared_attacks_rise_less() -> None:
    drums = drums_alone(np.random.default_rng(1), 4 * RATE_HZ, RATE_HZ)
    assert len(attack_times(drums, RATE_HZ)) >= 8
    assert attack_loss_db(drums, drums, RATE_HZ) == 0
    assert attack_loss_db(with_smeared_time(drums), drums, RATE_HZ) > 6


def test_nothing_begins_in_silence() -> None:
    silence = np.zeros((RATE_HZ, 2), np.float32)
    assert math.isnan(attack_loss_db(silence, silence, RATE_HZ))


def test_a_bass_is_found_where_it_is_written_and_lost_where_it_is_rounded(band: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    basses = [Note(0.5 * i, 0.5, float(midi)) for i, midi in enumerate([29, 31, 34, 36, 38, 40, 41, 43, 46, 48] * 2)]
    samples = over_a_bass(rng, basses, [chord_over(rng, bass, 3) for bass in basses], RATE_HZ)
    hits = [Hit(bass.start_s, bass.duration_s, int(bass.midi), 1.0) for bass in basses]
    right, asked = bass_notes_right(samples, RATE_HZ, hits)
    assert asked >= 15 and right >= 0.8 * asked
    wrong, _ = bass_notes_right(with_rounded_pitch(samples), RATE_HZ, hits)
    assert wrong < 0.5 * right


def test_references_keep_time(band: np.ndarray) -> None:
    for through in (through_mp3, through_opus):
        decoded = through(band, RATE_HZ)
        assert decoded.shape == band.shape
        assert np.corrcoef(decoded[:, 0], band[:, 0])[0, 1] > 0.9
