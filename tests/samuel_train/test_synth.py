"""What a procedural song promises: the same from the same seed, sung and played as its facts say."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_train.synth import Song, SongFacts, render_song
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, from_db, midi_to_hz, rms
from samuel_train.synth.theory import Chord

SEEDS = (0, 3, 5, 9)
DURATION_S = 16.0


@lru_cache
def song_of(seed: int) -> Song:
    return render_song(seed, DURATION_S)


def fundamental_hz(signal: np.ndarray) -> float:
    """By the highest peak of the autocorrelation, 70 .. 1100 Hz, refined by a parabola."""
    samples = len(signal)
    spectrum = np.fft.rfft(signal * np.hanning(samples), 2 * samples)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:samples]
    lags = np.arange(SAMPLE_RATE_HZ // 1100, SAMPLE_RATE_HZ // 70)
    peak = lags[np.argmax(correlation[lags])]
    before, here, after = correlation[peak - 1 : peak + 2]
    return SAMPLE_RATE_HZ / (peak + 0.5 * (before - after) / (before - 2 * here + after))


def chroma(signal: np.ndarray) -> np.ndarray:
    """(12,) energy by pitch class, 100 .. 2000 Hz, unit norm."""
    window = 8192
    frequencies = np.fft.rfftfreq(window, 1 / SAMPLE_RATE_HZ)
    band = (frequencies > 100) & (frequencies < 2000)
    classes = np.round(69 + 12 * np.log2(frequencies[band] / 440)).astype(int) % 12
    energy = np.zeros(12)
    for start in range(0, len(signal) - window + 1, window // 2):
        power = np.abs(np.fft.rfft(signal[start : start + window] * np.hanning(window))) ** 2
        energy += np.bincount(classes, power[band], minlength=12)
    return energy / np.linalg.norm(energy)


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = render_song(7, 4.0), render_song(7, 4.0)
    assert first.vocals.tobytes() == second.vocals.tobytes()
    assert first.accompaniment.tobytes() == second.accompaniment.tobytes()
    assert first.facts == second.facts


def test_another_seed_gives_another_song() -> None:
    first, second = song_of(0), song_of(3)
    assert rms(first.vocals - second.vocals) > 0.5 * min(rms(first.vocals), rms(second.vocals))
    assert rms(first.accompaniment - second.accompaniment) > 0.5 * rms(first.accompaniment)
    assert first.facts != second.facts


@pytest.mark.parametrize("seed", SEEDS)
def test_stems_are_audible_finite_and_unclipped(seed: int) -> None:
    song = song_of(seed)
    for stem in (song.vocals, song.accompaniment):
        assert stem.shape == (round(DURATION_S * SAMPLE_RATE_HZ), 2)
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
        assert np.abs(stem).max() <= 0.99
        assert from_db(-36) < rms(stem) < from_db(-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_voice_is_centred_and_band_is_wide(seed: int) -> None:
    def sides(stem: np.ndarray) -> float:
        return rms(stem[:, 0] - stem[:, 1]) / rms(stem.sum(axis=1))

    assert sides(song_of(seed).vocals) < 0.3
    assert 0.03 < sides(song_of(seed).accompaniment) < 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_voice_sings_the_notes_of_the_facts(seed: int) -> None:
    song = song_of(seed)
    voice = song.vocals.mean(axis=1)
    cents = []
    for start_s, duration_s, midi in song.facts.melody:
        stop_s = start_s + min(duration_s - 0.15, 0.6)
        if duration_s < 0.45 or stop_s > DURATION_S:
            continue
        sustained = voice[round((start_s + 0.15) * SAMPLE_RATE_HZ) : round(stop_s * SAMPLE_RATE_HZ)]
        cents.append(1200 * np.log2(fundamental_hz(sustained) / midi_to_hz(midi)))
    assert len(cents) >= 5
    assert np.median(np.abs(cents)) < 20
    assert np.mean(np.abs(cents) < 50) > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_band_plays_the_chords_of_the_facts(seed: int) -> None:
    song = song_of(seed)
    band = song.accompaniment.mean(axis=1)
    starts = [*song.facts.chords, (DURATION_S, "")]
    scores = np.zeros(12)  # by transposition of the facts, in semitones
    for (start_s, name), (stop_s, _) in pairwise(starts):
        if stop_s - start_s < 0.5:
            continue
        energy = chroma(band[round(start_s * SAMPLE_RATE_HZ) : round(stop_s * SAMPLE_RATE_HZ)])
        tones = np.array(Chord.from_name(name).pitch_classes)
        scores += [energy[(tones + shift) % 12].sum() for shift in range(12)]
    assert scores[0] > 1.2 * np.sort(scores)[-2]


def test_voice_has_harmonics_to_10_khz_and_a_floor_of_breath() -> None:
    voice = song_of(9).vocals.mean(axis=1)
    start = next(round((s + 0.15) * SAMPLE_RATE_HZ) for s, length, _ in song_of(9).facts.melody if length > 0.6)
    segment = voice[start : start + round(0.3 * SAMPLE_RATE_HZ)]
    power = np.abs(np.fft.rfft(segment * np.hanning(len(segment)))) ** 2
    frequencies = np.fft.rfftfreq(len(segment), 1 / SAMPLE_RATE_HZ)

    def level_db(low_hz: float, high_hz: float) -> float:
        return float(10 * np.log10(power[(frequencies > low_hz) & (frequencies < high_hz)].sum()))

    assert -60 < level_db(8000, 10_000) - level_db(200, 8000) < -15


def test_formants_near_the_fundamental_do_not_ring_at_the_frame_rate() -> None:
    """Filtering in frames once put side lines 86 Hz from every strong harmonic, 27 dB below it."""
    from samuel_train.synth.singer import draw_singer
    from samuel_train.synth.tract import TRACT_HOP_SAMPLES, through_tract

    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    frames = SAMPLE_RATE_HZ // TRACT_HOP_SAMPLES + 2
    formants_hz = np.tile([550.0, 760.0, 2400.0, 3200.0, 3900.0], (frames, 1))
    tone = np.sin(2 * np.pi * 524 * time_s).astype(np.float32)
    shaped = through_tract(tone, formants_hz, np.ones(frames), draw_singer(np.random.default_rng(0)))
    middle = shaped[SAMPLE_RATE_HZ // 4 : SAMPLE_RATE_HZ * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle))))
    frequencies = np.fft.rfftfreq(len(middle), 1 / SAMPLE_RATE_HZ)
    side = spectrum[np.abs(frequencies - 524 - SAMPLE_RATE_HZ / TRACT_HOP_SAMPLES) < 8].max()
    assert side < from_db(-60) * spectrum.max()


def test_beats_run_at_the_tempo_and_fill_the_song() -> None:
    facts = song_of(0).facts
    assert np.allclose(np.diff(facts.beats_s), 60 / facts.tempo_bpm, atol=1e-5)
    assert facts.beats_s[0] < 0.5
    assert DURATION_S - facts.beats_s[-1] <= 60 / facts.tempo_bpm
    assert facts.chords[0][0] == facts.beats_s[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_band_is_louder_on_the_beats_than_between(seed: int) -> None:
    song = song_of(seed)
    band = song.accompaniment.mean(axis=1)
    hop = 512
    frames = np.lib.stride_tricks.sliding_window_view(band, 1024)[::hop] * np.hanning(1024)
    spectra = np.log1p(1000 * np.abs(np.fft.rfft(frames)))
    rise = np.maximum(np.diff(spectra, axis=0), 0).mean(axis=1)
    times_s = (np.arange(len(rise)) * hop + 1024) / SAMPLE_RATE_HZ

    def strength(offset_s: float) -> float:
        return float(
            np.mean([rise[np.abs(times_s - beat - offset_s) < 0.04].max() for beat in song.facts.beats_s[1:-1]])
        )

    assert strength(0.0) > 1.2 * strength(0.25 * 60 / song.facts.tempo_bpm)


def test_facts_round_trip_through_json() -> None:
    facts = song_of(0).facts
    assert SongFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_facts_with_an_unknown_key_are_refused() -> None:
    values = song_of(0).facts.to_dict()
    with pytest.raises(UserError, match="colour"):
        SongFacts.from_dict({**values, "colour": "blue"})


@pytest.mark.parametrize(("seed", "duration_s"), [(-1, 4.0), (0, 0.5), (0, float("nan")), (0, 1e9)])
def test_impossible_songs_are_refused(seed: int, duration_s: float) -> None:
    with pytest.raises(UserError):
        render_song(seed, duration_s)


@pytest.mark.parametrize("melody", [3, [[1.0, 2.0]], [["a", "b", "c"]]])
def test_facts_with_a_broken_list_are_refused(melody: object) -> None:
    with pytest.raises(UserError, match="melody"):
        SongFacts.from_dict({**song_of(0).facts.to_dict(), "melody": melody})
