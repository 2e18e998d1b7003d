"""Words on a melody: a speaker's frames laid out along the notes, and WORLD's synthesis of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from samuel_train.synth.compose.phrasing import CONTROL_S, Performed
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, smooth
from samuel_train.synth.voice.envelopes import ENVELOPE_HZ, aperiodicities, spectra
from samuel_train.synth.voice.phone_bank import FRAME_S, PhoneBank, import_pyworld
from samuel_train.synth.voice.singer import Performance, Singer
from samuel_train.synth.voice.syllables import Syllable

_ATTACK_S, _RELEASE_S = 0.07, 0.05  # what of a vowel's beginning and end keeps its own speed
_SHORTEST_SHARE = 0.45  # of a note, which its vowel keeps at least
_WANDER_S = 0.9  # a held vowel moves to and fro in its source, this slowly
_GAP_S = 0.08
_DB = np.log(10) / 10
# The long-term average of sung vowels, in dB; speech on one pitch is far duller.
_SUNG_HZ = (100, 500, 1000, 2000, 3000, 4000, 6000, 8000, 9000)
_SUNG_DB = (-4, 0, -8, -17, -19, -26, -37, -43, -46)
_MOST_DB, _LEAST_DB = 30.0, -6.0
_HUM_FALL = 10.0  # dB an octave above 500 Hz, for a closed mouth
_CONSONANT_DB = -5.0


class Layout:
    """Where each control point finds its sound in the bank; NaN where nobody sings."""

    def __init__(self, points: int) -> None:
        """All silent."""
        self.source = np.full(points, np.nan)
        """Frames of the bank, between which one interpolates."""
        self.held = np.zeros(points, dtype=bool)
        """Whether a vowel sounds: voiced, at the loudness of the note."""
        self.syllable = np.full(points, -1)
        """Which syllable, in order."""


def sing_words(
    rng: np.random.Generator,
    notes: Sequence[Performed],
    singer: Singer,
    bank: PhoneBank,
    times_s: np.ndarray,
    f0_hz: np.ndarray,
    loudness: np.ndarray,
) -> np.ndarray:
    """The dry voice from ``times_s[0]`` on, (samples,) float32, of no particular level."""
    layout = lay_out(notes, list(_choose(rng, notes, singer, bank)), times_s)
    voice = np.zeros(round((len(times_s) + 1) * CONTROL_S * SAMPLE_RATE_HZ), dtype=np.float32)
    tone = _tone(bank, singer)
    for start, stop in _stretches(~np.isnan(layout.source)):
        span = slice(start, stop)
        sound = _synthesise(bank, singer, layout, span, f0_hz, loudness, tone)
        at = round(start * CONTROL_S * SAMPLE_RATE_HZ)
        sound = sound[: len(voice) - at]
        voice[at : at + len(sound)] += sound
    return voice


def _choose(
    rng: np.random.Generator, notes: Sequence[Performed], singer: Singer, bank: PhoneBank
) -> Iterator[Syllable]:
    """A syllable for every note; words run on from note to note, carried notes keep theirs."""
    vocables = bank.words[bank.spoken :]
    open_mouthed = [word for word in vocables if not word[0].hummed]
    hums = [word for word in vocables if word[0].hummed] or open_mouthed
    choice = {Performance.HUM: hums, Performance.VOCABLES: [open_mouthed[i] for i in rng.choice(len(open_mouthed), 3)]}
    book = choice.get(singer.performance, bank.words[: bank.spoken])
    word: list[Syllable] = []
    current: Syllable | None = None
    for note in notes:
        if current is None or not note.carries_on:
            word = word or list(book[rng.integers(len(book))])
            current = word.pop(0)
        yield current


def lay_out(notes: Sequence[Performed], syllables: Sequence[Syllable], times_s: np.ndarray) -> Layout:
    """Consonants before the beat, vowels on it, held as long as the note; all of it in the bank's frames."""
    layout = Layout(len(times_s))
    for index, (note, syllable) in enumerate(zip(notes, syllables, strict=True)):
        following = notes[index + 1] if index + 1 < len(notes) else None
        joined = following is not None and following.onset_s - note.end_s < _GAP_S
        carried = joined and following is not None and following.carries_on
        end_s = following.onset_s if joined and following is not None else note.end_s
        coda_s = 0.0 if carried else syllable.end_s - syllable.coda_s
        if joined and not carried and following is not None:
            end_s -= min(syllables[index + 1].vowel_s - syllables[index + 1].onset_s, 0.14)
        end_s = max(end_s, note.onset_s + _SHORTEST_SHARE * (note.end_s - note.onset_s))
        coda_s = min(coda_s, 0.4 * (end_s - note.onset_s))
        if not note.carries_on:
            lead_s = min(syllable.vowel_s - syllable.onset_s, 0.2)
            _place(
                layout, times_s, note.onset_s - lead_s, note.onset_s, syllable.vowel_s - lead_s, syllable.vowel_s, index
            )
        _hold(layout, times_s, note, syllable, end_s - coda_s, index)
        if coda_s > 0:
            _place(layout, times_s, end_s - coda_s, end_s, syllable.coda_s, syllable.coda_s + coda_s, index)
    return layout


def _place(
    layout: Layout, times_s: np.ndarray, start_s: float, stop_s: float, from_s: float, to_s: float, index: int
) -> None:
    """Consonants: source time runs from ``from_s`` to ``to_s``."""
    span = slice(*np.searchsorted(times_s, [start_s, stop_s]))
    share = (times_s[span] - start_s) / max(stop_s - start_s, 1e-9)
    layout.source[span] = (from_s + share * (to_s - from_s)) / FRAME_S
    layout.held[span] = False
    layout.syllable[span] = index


def _hold(layout: Layout, times_s: np.ndarray, note: Performed, syllable: Syllable, stop_s: float, index: int) -> None:
    """A vowel: its beginning and end at their own speed, its middle for as long as it takes."""
    span = slice(*np.searchsorted(times_s, [note.onset_s, stop_s]))
    since_s = times_s[span] - note.onset_s
    length_s = syllable.coda_s - syllable.vowel_s
    sung_s = max(stop_s - note.onset_s, 1e-9)
    attack_s, release_s = min(_ATTACK_S, 0.4 * length_s), min(_RELEASE_S, 0.25 * length_s)
    if attack_s + release_s >= sung_s:
        inside = since_s / sung_s * length_s
    else:
        middle = (since_s - attack_s) / (sung_s - attack_s - release_s)
        rest_s = length_s - attack_s - release_s
        # A sixth of the way to the end while it is held, swaying: a vowel that stands still sounds like an organ.
        sway = 0.12 * np.sin(2 * np.pi * since_s / _WANDER_S)
        inside = attack_s + rest_s * np.clip(0.35 + 0.3 * (middle - 0.5) + sway, 0, 1)
        opening = np.interp(since_s, [0, attack_s, 2 * attack_s], [1, 0.5, 0])
        inside = opening * since_s + (1 - opening) * inside
        closing = np.clip(1 - (sung_s - since_s) / (2 * release_s), 0, 1)
        inside = closing * (length_s - np.maximum(sung_s - since_s, 0)) + (1 - closing) * inside
    if note.carries_on:
        inside = np.maximum(inside, min(attack_s, 0.5 * length_s))
    layout.source[span] = (syllable.vowel_s + np.clip(inside, 0, length_s)) / FRAME_S
    layout.held[span] = True
    layout.syllable[span] = index


def _stretches(sounding: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sounding, [False]]).astype(int)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _tone(bank: PhoneBank, singer: Singer) -> np.ndarray:
    """What turns this speaker's vowels into sung ones, (points,) natural log of power."""
    vowels = np.concatenate(
        [np.arange(round(s.vowel_s / FRAME_S), round(s.coda_s / FRAME_S)) for word in bank.words for s in word]
    )
    vowels = vowels[vowels < len(bank.envelopes)]
    spoken = np.log(np.exp(bank.envelopes[vowels]).mean(axis=0)) / _DB
    sung = np.interp(np.log(np.maximum(ENVELOPE_HZ, 50)), np.log(_SUNG_HZ), _SUNG_DB)
    sung += singer.brightness_db * np.clip(np.log2(np.maximum(ENVELOPE_HZ, 50) / 1000) / np.log2(5), -0.3, 1.3)
    missing = smooth(sung - (spoken - spoken.max()), 21)
    if singer.performance is Performance.HUM:
        missing -= _HUM_FALL * np.maximum(np.log2(np.maximum(ENVELOPE_HZ, 50) / 500), 0)
    return np.clip(missing, _LEAST_DB if singer.performance is not Performance.HUM else -60.0, _MOST_DB) * _DB


def _synthesise(
    bank: PhoneBank,
    singer: Singer,
    layout: Layout,
    span: slice,
    f0_hz: np.ndarray,
    loudness: np.ndarray,
    tone: np.ndarray,
) -> np.ndarray:
    source = np.clip(layout.source[span], 0, len(bank.envelopes) - 1.001)
    lower = source.astype(int)
    share = (source - lower)[:, None].astype(np.float32)
    envelopes = (1 - share) * bank.envelopes[lower] + share * bank.envelopes[lower + 1]  # (frames, points)
    noise = (1 - share) * bank.aperiodicity[lower] + share * bank.aperiodicity[lower + 1]
    held = layout.held[span]
    voiced = held | bank.voiced[np.rint(source).astype(int)]
    voicing = smooth(voiced.astype(float), 5)[:, None]
    envelopes = smooth(envelopes, 5) + (voicing * tone).astype(np.float32)
    envelopes += _levels(envelopes, held, layout.syllable[span], loudness[span])[:, None]
    tone_noise = np.where(held[:, None], np.minimum(noise, 0.35 + 0.5 * singer.breath), noise)
    sung_hz = np.where(voiced, f0_hz[span], 0.0)
    sound = import_pyworld().synthesize(
        np.ascontiguousarray(sung_hz, dtype=np.float64),
        spectra(envelopes, voiced, singer.stretch),
        aperiodicities(tone_noise, singer.breath),
        SAMPLE_RATE_HZ,
        1000 * CONTROL_S,
    )
    edge = np.minimum(np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / 220, 1.0)
    return (sound * edge).astype(np.float32)


def _levels(envelopes: np.ndarray, held: np.ndarray, syllable: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """What brings every syllable's vowel to the note's loudness, (frames,) natural log of power."""
    width = np.gradient(ENVELOPE_HZ)
    power = np.log(np.exp(envelopes.astype(np.float64)) @ width)  # (frames,)
    gain = np.zeros(len(power))
    for index in np.unique(syllable):
        own = syllable == index
        vowel = own & held
        level = power[vowel].mean() if vowel.any() else power[own].max()
        gain[own] = -level + np.where(held[own], 0.0, _CONSONANT_DB * _DB)
        # Half of what a vowel's level does on its way is kept, so that held notes do not pump.
        gain[vowel] -= 0.5 * (power[vowel] - level)
    peak = np.interp(np.arange(len(loudness)), *_note_levels(syllable, loudness))
    level = np.where(held, np.maximum(loudness, 0.15 * peak), peak)
    return np.asarray(smooth(gain + 2 * np.log(np.maximum(level, 1e-3)), 5))


def _note_levels(syllable: np.ndarray, loudness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(centre, loudness) of every note: what its consonants are measured by."""
    indices = np.unique(syllable)
    centres = np.array([np.flatnonzero(syllable == index).mean() for index in indices])
    return centres, np.array([loudness[syllable == index].max() for index in indices])
