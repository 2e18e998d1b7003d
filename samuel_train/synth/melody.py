"""The sung line: chord tones on the strong beats, scale steps between, phrases with room to breathe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from samuel_train.synth.form import BARS_PER_PROGRESSION, BEATS_PER_BAR, Bar, Plan, Section
from samuel_train.synth.theory import Chord, melody_scale

_STEPS_PER_BEAT = 2

# One bar in eighths: x begins a note, . holds it, - rests. A phrase is an opening bar and a closing bar.
_OPENINGS = {
    "calm": ("x...x...", "x.x.x...", "x...x.x.", "x.x.x.x.", "x...x.xx"),
    "moving": ("x.x.x.x.", "x.xxx.x.", "xxx.x.x.", "x.x.xxx.", "x.xxx.xx", "x..xx.x."),
}
_CLOSINGS = {
    "calm": ("x.....--", "x...x.--", "x.x...--", "x...----"),
    "moving": ("x.x...--", "xxx...--", "x.x.x.--", "x.xx..--", "x..x..--", "x...----"),
}

_LEAP_SIGMA = 2.6  # semitones
_REGISTER_SIGMA = 4.0
_PASSING_ON_STRONG = 0.02
_PASSING_ON_WEAK = 0.7
_REPEAT = 0.55
_CHORD_TONE_WEIGHTS = (1.3, 1.2, 1.0, 0.5)  # root, third, fifth, seventh
_CHORUS_LIFT = 3


@dataclass(frozen=True)
class SungNote:
    """One note of the voice."""

    beat: float
    """Onset, in beats from the first beat of the song."""
    beats: float
    """Length."""
    midi: int
    """Pitch, 69 is 440 Hz."""
    opens_phrase: bool
    closes_phrase: bool


def write_melody(rng: np.random.Generator, plan: Plan, lowest: int, highest: int) -> tuple[SungNote, ...]:
    """A melody for the sung bars of a plan, within ``lowest`` .. ``highest`` (MIDI notes).

    A section's rhythm is drawn once and comes back; its pitches come in two versions that take turns.
    """
    manner = "calm" if plan.tempo_bpm > 118 or rng.random() < 0.3 else "moving"
    rhythms = {section: _draw_rhythm(rng, manner) for section in Section if section.sung}
    versions: dict[tuple[Section, int], list[SungNote]] = {}
    melody: list[SungNote] = []
    for index, bar in enumerate(plan.bars):
        if not bar.section.sung or bar.position:
            continue
        version = (bar.section, bar.visit % 2)
        if version not in versions:
            progression = plan.bars[index : index + BARS_PER_PROGRESSION]
            lift = _CHORUS_LIFT if bar.section is Section.CHORUS else 0
            centre = (lowest + highest) / 2 - 1 + lift
            versions[version] = _sing(rng, plan, progression, rhythms[bar.section], centre, (lowest, highest))
        offset = index * BEATS_PER_BAR
        melody += [replace(note, beat=note.beat + offset) for note in versions[version]]
    return tuple(melody)


def _draw_rhythm(rng: np.random.Generator, manner: str) -> str:
    """Four bars: two phrases that share their closing, and often their opening."""
    first, second = rng.choice(_OPENINGS[manner], size=2)
    closing, last = rng.choice(_CLOSINGS[manner], size=2)
    if rng.random() < 0.5:
        second = first
    return str(first) + str(closing) + str(second) + str(last)


def _sing(
    rng: np.random.Generator,
    plan: Plan,
    bars: Sequence[Bar],
    rhythm: str,
    centre: float,
    compass: tuple[int, int],
) -> list[SungNote]:
    onsets = [step for step, mark in enumerate(rhythm) if mark == "x"]
    steps_per_phrase = 2 * BEATS_PER_BAR * _STEPS_PER_BEAT
    steps_per_half = BEATS_PER_BAR * _STEPS_PER_BEAT // 2
    pitches = np.arange(compass[0], compass[1] + 1)
    previous = centre
    notes = []
    for step in onsets:
        length = 1
        while step + length < len(rhythm) and rhythm[step + length] == ".":
            length += 1
        chord = bars[step // (2 * steps_per_half)].chords[step // steps_per_half % 2]
        strong = step % (2 * _STEPS_PER_BEAT) == 0 or length >= 2 * _STEPS_PER_BEAT
        arch = 2.5 * np.sin(np.pi * (step % steps_per_phrase) / steps_per_phrase)
        weights = _harmonic_weights(pitches, chord, melody_scale(plan.key, chord), strong)
        weights *= np.exp(-0.5 * ((pitches - previous) / _LEAP_SIGMA) ** 2)
        weights *= np.exp(-0.5 * ((pitches - centre - arch) / _REGISTER_SIGMA) ** 2)
        weights[pitches == previous] *= _REPEAT
        previous = int(rng.choice(pitches, p=weights / weights.sum()))
        following = step + length
        notes.append(
            SungNote(
                beat=step / _STEPS_PER_BEAT,
                beats=length / _STEPS_PER_BEAT,
                midi=previous,
                opens_phrase=step % steps_per_phrase == 0,
                closes_phrase=following >= len(rhythm) or rhythm[following] == "-",
            )
        )
    return notes


def _harmonic_weights(pitches: np.ndarray, chord: Chord, scale: frozenset[int], strong: bool) -> np.ndarray:
    passing = _PASSING_ON_STRONG if strong else _PASSING_ON_WEAK
    of_class = np.array([passing if pitch_class in scale else 0.0 for pitch_class in range(12)])
    for pitch_class, weight in zip(chord.pitch_classes, _CHORD_TONE_WEIGHTS, strict=False):
        of_class[pitch_class] = weight
    return of_class[pitches % 12]
