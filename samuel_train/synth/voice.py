"""A sung line as sound: glottal source, vocal tract, consonants and breaths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ, band_noise, from_db, midi_to_hz, rms, smooth
from samuel_train.synth.form import Plan
from samuel_train.synth.melody import SungNote
from samuel_train.synth.singer import CONSONANTS, VOWELS_HZ, Consonant, Singer
from samuel_train.synth.tract import TRACT_HOP_SAMPLES, through_tract

_CONTROL_HOP_SAMPLES = 128
_CONTROL_HZ = SAMPLE_RATE_HZ / _CONTROL_HOP_SAMPLES
_TABLE_SIZE = 4096
_FOREVER_S = 1e9
_NOTE_FALL, _PHRASE_END_FALL = 0.25, 0.75  # how much of its loudness a note loses
_SWELL, _SWELL_S = 0.45, 0.07  # a note begins softer, and how fast it opens
_COMPRESSION = 0.4  # share of the level differences, in dB, that the recording takes away
_HIGHEST_HARMONIC_HZ = 16_000.0


@dataclass(frozen=True)
class _Sung:
    """A note with its syllable, in seconds."""

    onset_s: float
    end_s: float
    midi: int
    loudness: float
    formants_hz: np.ndarray
    """(5,) of its vowel."""
    consonant: Consonant | None
    """What leads into it; None carries the vowel on."""
    opens_phrase: bool
    closes_phrase: bool


def sing(rng: np.random.Generator, plan: Plan, melody: Sequence[SungNote], singer: Singer, samples: int) -> np.ndarray:
    """The melody as a dry voice, (samples,) float32, unit RMS while it sounds; silence without notes."""
    notes = [note for note in _add_syllables(rng, plan, melody, singer) if note.onset_s < samples / SAMPLE_RATE_HZ]
    if not notes:
        return np.zeros(samples, dtype=np.float32)
    controls = samples // _CONTROL_HOP_SAMPLES + 2
    f0_hz = _fundamental(rng, notes, singer, controls)
    loudness = _loudness(notes, controls)
    source = _glottal_source(rng, notes, singer, f0_hz, loudness, samples)
    per_tract_frame = TRACT_HOP_SAMPLES // _CONTROL_HOP_SAMPLES
    frames = samples // TRACT_HOP_SAMPLES + 2
    at = np.minimum(np.arange(frames) * per_tract_frame, controls - 1)
    formants_hz = _formants(notes, frames)
    formants_hz[:, 0] = np.maximum(formants_hz[:, 0], 1.05 * f0_hz[at])  # singers open the mouth on high notes
    voice = through_tract(source, formants_hz, loudness[at], singer)
    voice = _compress(voice, loudness)
    _add_consonants(rng, notes, voice)
    _add_breaths(rng, notes, voice)
    return voice


def _add_syllables(rng: np.random.Generator, plan: Plan, melody: Sequence[SungNote], singer: Singer) -> list[_Sung]:
    vowels, consonants = list(VOWELS_HZ.values()), list(CONSONANTS.values())
    sung: list[_Sung] = []
    formants = np.array(vowels[0], dtype=np.float64)
    for note in melody:
        onset_s = plan.time_s(note.beat) + float(np.clip(rng.normal(0, 0.008), -0.02, 0.02))
        end_s = plan.time_s(note.beat + note.beats) - (0.06 if note.closes_phrase else 0.0)
        syllable = note.opens_phrase or rng.random() < singer.articulation
        if syllable:
            scale = singer.formant_scale * rng.normal(1, 0.03, size=5).clip(0.92, 1.08)
            formants = np.array(vowels[rng.integers(len(vowels))]) * scale
        consonant = consonants[rng.integers(len(consonants))] if syllable else None
        accent = 1.0 if note.beat % 2 == 0 else 0.88
        loudness = accent * float(rng.uniform(0.8, 1.0))
        sung.append(
            _Sung(
                onset_s=max(onset_s, 0.0),
                end_s=end_s,
                midi=note.midi,
                loudness=loudness,
                formants_hz=formants,
                consonant=consonant,
                opens_phrase=note.opens_phrase,
                closes_phrase=note.closes_phrase,
            )
        )
    return sung


def _span(start_s: float, end_s: float, rate_hz: float, limit: int) -> slice:
    return slice(min(max(round(start_s * rate_hz), 0), limit), min(max(round(end_s * rate_hz), 0), limit))


def _fundamental(rng: np.random.Generator, notes: Sequence[_Sung], singer: Singer, controls: int) -> np.ndarray:
    midi = np.full(controls, float(notes[0].midi))
    for note in notes:
        midi[_span(note.onset_s - singer.portamento_s / 3, _FOREVER_S, _CONTROL_HZ, controls)] = note.midi
    midi = smooth(midi, round(singer.portamento_s * _CONTROL_HZ))
    time_s = np.arange(controls) / _CONTROL_HZ
    vibrato_hz = singer.vibrato_hz + smooth(rng.normal(0, 2.0, controls), round(0.4 * _CONTROL_HZ))
    vibrato_phase = 2 * np.pi * np.cumsum(vibrato_hz) / _CONTROL_HZ
    for note in notes:
        span = _span(note.onset_s, note.end_s, _CONTROL_HZ, controls)
        since_s = time_s[span] - note.onset_s
        depth = singer.vibrato_cents / 100 * np.clip((since_s - 0.25) / 0.35, 0, 1)
        midi[span] += depth * np.sin(vibrato_phase[span])
        if note.opens_phrase:
            midi[span] -= singer.scoop_cents / 100 * np.exp(-since_s / 0.05)
    drift = smooth(rng.normal(0, 1, controls), round(0.35 * _CONTROL_HZ))
    tremor = smooth(rng.normal(0, 1, controls), 9)
    midi += 0.07 * drift / max(rms(drift), 1e-9) + 0.025 * tremor / max(rms(tremor), 1e-9)
    return midi_to_hz(midi)


def _loudness(notes: Sequence[_Sung], controls: int) -> np.ndarray:
    loudness = np.zeros(controls)
    for note in notes:
        span = _span(note.onset_s, note.end_s, _CONTROL_HZ, controls)
        place = np.linspace(0, 1, max(span.stop - span.start, 0))
        fall = _PHRASE_END_FALL if note.closes_phrase else _NOTE_FALL
        since_s = np.arange(len(place)) / _CONTROL_HZ
        swell = 1 - _SWELL * np.exp(-since_s / _SWELL_S)
        loudness[span] = note.loudness * swell * (1 - fall * place**3)
    for note in notes:
        if note.consonant is not None:
            closure = _span(note.onset_s - note.consonant.length_s, note.onset_s, _CONTROL_HZ, controls)
            loudness[closure] = note.loudness * note.consonant.voicing
    return np.maximum(smooth(loudness, round(0.03 * _CONTROL_HZ)), 0.0)


def _formants(notes: Sequence[_Sung], frames: int) -> np.ndarray:
    rate_hz = SAMPLE_RATE_HZ / TRACT_HOP_SAMPLES
    formants = np.tile(notes[0].formants_hz, (frames, 1)).astype(np.float64)  # (frames, 5)
    for note in notes:
        formants[_span(note.onset_s - 0.02, _FOREVER_S, rate_hz, frames)] = note.formants_hz
        if note.consonant is not None and note.consonant.formants_hz is not None:
            closure = _span(note.onset_s - note.consonant.length_s, note.onset_s, rate_hz, frames)
            formants[closure] = note.consonant.formants_hz
    return smooth(formants, 5)


def _compress(voice: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """Draw loud and quiet vowels together and bring the sounding parts to unit RMS, (samples,)."""
    hop, samples = _CONTROL_HOP_SAMPLES, len(voice)
    whole = np.pad(voice, (0, len(loudness) * hop - samples)).reshape(-1, hop)  # (controls, hop)
    power = smooth(np.mean(np.square(whole), axis=1), round(0.08 * _CONTROL_HZ))
    sounding = loudness > 0.05
    reference = max(float(power[sounding].mean()), 1e-18)
    gain_db = -_COMPRESSION * 10 * np.log10(np.maximum(power / reference, 0.01))
    gain = 10 ** (gain_db / 20)
    at = np.arange(samples) / hop
    compressed = voice * np.interp(at, np.arange(len(gain)) + 0.5, gain).astype(np.float32)
    return compressed / max(rms(compressed[np.repeat(sounding, hop)[:samples]]), 1e-9)


def _glottal_source(
    rng: np.random.Generator,
    notes: Sequence[_Sung],
    singer: Singer,
    f0_hz: np.ndarray,
    loudness: np.ndarray,
    samples: int,
) -> np.ndarray:
    """Band-limited pulses (a sawtooth, -6 dB an octave) and aspiration that breathes with them, (samples,)."""
    at = np.arange(samples, dtype=np.float64) / _CONTROL_HOP_SAMPLES
    controls = np.arange(len(f0_hz), dtype=np.float64)
    phase = np.cumsum(np.interp(at, controls, f0_hz) / SAMPLE_RATE_HZ)
    phase -= np.floor(phase)
    gain = np.interp(at, controls, loudness).astype(np.float32)
    source = np.empty(samples, dtype=np.float32)
    edges = [0, *(round((note.onset_s - 0.06) * SAMPLE_RATE_HZ) for note in notes[1:]), samples]
    tables: dict[int, np.ndarray] = {}
    for start, stop in pairwise(edges):
        start, stop = max(start, 0), min(stop, samples)
        if stop <= start:
            continue
        control_span = slice(start // _CONTROL_HOP_SAMPLES, stop // _CONTROL_HOP_SAMPLES + 2)
        harmonics = int(_HIGHEST_HARMONIC_HZ / f0_hz[control_span].max())
        if harmonics not in tables:
            tables[harmonics] = _sawtooth(harmonics)
        place = phase[start:stop] * _TABLE_SIZE
        index = place.astype(np.int64)
        fraction = (place - index).astype(np.float32)
        table = tables[harmonics]
        source[start:stop] = table[index] + fraction * (table[index + 1] - table[index])
    breath = rng.standard_normal(samples, dtype=np.float32) * (1.0 - 0.7 * phase.astype(np.float32))
    return gain * (source + singer.breathiness * breath)


def _sawtooth(harmonics: int) -> np.ndarray:
    """One period with a last point that repeats the first, (table + 1,)."""
    spectrum = np.zeros(_TABLE_SIZE // 2 + 1, dtype=np.complex128)
    orders = np.arange(1, harmonics + 1)
    spectrum[1 : harmonics + 1] = -0.5j * _TABLE_SIZE / orders
    period = np.fft.irfft(spectrum)
    return np.append(period, period[0]).astype(np.float32)


def _add(voice: np.ndarray, start: int, sound: np.ndarray) -> None:
    first, last = max(start, 0), min(start + len(sound), len(voice))
    if first < last:
        voice[first:last] += sound[first - start : last - start]


def _add_consonants(rng: np.random.Generator, notes: Sequence[_Sung], voice: np.ndarray) -> None:
    for note in notes:
        consonant = note.consonant
        if consonant is None or consonant.noise_s == 0:
            continue
        samples = round(consonant.noise_s * float(rng.uniform(0.85, 1.2)) * SAMPLE_RATE_HZ)
        noise = band_noise(rng, samples, consonant.noise_hz * float(rng.normal(1, 0.05)), consonant.noise_octaves)
        rise = np.linspace(0, 1, samples, dtype=np.float32)
        plosive = consonant.noise_s < 0.05
        envelope = (1 - rise) ** 1.5 if plosive else np.sin(np.pi * rise**0.8)
        level = from_db(consonant.noise_db + float(rng.normal(0, 1.5))) * note.loudness
        late = round(0.012 * SAMPLE_RATE_HZ)
        _add(voice, round(note.onset_s * SAMPLE_RATE_HZ) - samples + late, level * noise * envelope)


def _add_breaths(rng: np.random.Generator, notes: Sequence[_Sung], voice: np.ndarray) -> None:
    silent_since_s = -1.0
    for note in notes:
        gap_s = note.onset_s - silent_since_s
        silent_since_s = note.end_s
        if gap_s < 0.35 or rng.random() < 0.15:
            continue
        length_s = min(gap_s - 0.15, float(rng.uniform(0.22, 0.42)))
        samples = round(length_s * SAMPLE_RATE_HZ)
        rise = np.linspace(0, 1, samples, dtype=np.float32)
        noise = band_noise(rng, samples, float(rng.uniform(1500, 2600)), 0.8)
        envelope = np.sin(np.pi * rise**1.4).clip(0, 1) ** 1.5
        level = from_db(float(rng.uniform(-30, -20)))
        _add(voice, round((note.onset_s - 0.1 - length_s) * SAMPLE_RATE_HZ), level * noise * envelope)
